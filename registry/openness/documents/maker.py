"""Who made a document: Glasshouse, of which version, and by which edition of its renderers.

    0.1.0+edition.1    the version of Glasshouse, and the edition: a version of PEP 440, and of SemVer

Law: two makers that are equal render the same bytes from the same records. Raise EDITION when a change of the code
changes a byte of any document; tests/registry/openness/documents holds the code to it.
"""

from __future__ import annotations

import re

from registry import __version__

NAME = "glasshouse"
EDITION = 1
"""Raised with each change of what documents say."""
OURS = f"{__version__}+edition.{EDITION}"
"""What documents that are made now name as their maker's version."""
VERSION = re.compile(r"[0-9A-Za-z.]{1,40}\+edition\.[1-9][0-9]{0,5}")
"""What a document of any version of Glasshouse names."""
