"""Glasshouse: a model registry and reproducible-release pipeline for fully open models.

Programs import `glasshouse`, which is `registry.api`. Everything else here is internal, and changes without notice.
The rooms of this house, and which may import which, are drawn in docs/architecture.md.
"""

__version__ = "0.1.0"
