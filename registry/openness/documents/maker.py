"""Who made a document: Glasshouse, of which version, and by which edition of its renderers.

    0.1.0+edition.1    the version of Glasshouse, and the edition: a version of PEP 440, and of SemVer

Laws: two makers that are equal render the same bytes from the same records. A fact keeps its name and its spelling in
every edition; a new edition can tell more. Raise EDITION when a change of the code changes a byte of any document;
tests/registry/openness/documents and the goldens hold the code to both.
"""

from __future__ import annotations

import re

from registry import __version__
from registry.records import layout

NAME = "glasshouse"
EDITION = 2
"""Raised with each change of what documents say."""
OURS = f"{__version__}+edition.{EDITION}"
"""What documents that are made now name as their maker's version."""
RELEASE = layout.RECORD.rpartition("/")[2]
"""What every document cites, whichever edition made it: in the name of a fact stands this file."""
VERSION = re.compile(r"[0-9A-Za-z.]{1,40}\+edition\.[1-9][0-9]{0,5}")
"""What a document of any version of Glasshouse names."""


def is_older(version: str) -> bool:
    """Whether an edition before this one is what `version` names, which fits VERSION."""
    return int(version.rpartition(".")[2]) < EDITION
