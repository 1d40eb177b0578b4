"""Glasshouse: a model registry and reproducible-release pipeline for fully open models.

The rooms of this house, and which may import which, are drawn in docs/architecture.md.
"""

__version__ = "0.1.0"
