"""The records that the stages of `pipelines` write and the rest of `registry` reads: one home for each format.

Modules of records do not put off their annotations (`from __future__ import annotations`): pydantic would compile each
of them again while it makes the classes, which took a twentieth of the time of `glasshouse verify`.
"""
