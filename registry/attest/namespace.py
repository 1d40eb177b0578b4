"""Where our own URIs stand: the types of our predicates and of our builds, and the builder.

They are names, and nobody fetches them. Two that differ in nothing but the prefix mean the same, for ever: what was
signed under one verifies as what was signed under another.
"""

from __future__ import annotations

PREFIXES = ("https://glasshouse.dev/", "https://w3id.org/glasshouse/")
"""Each that was ever written, or will be. Nobody owns the first; docs/w3id holds the claim to the second."""
WRITTEN = PREFIXES[0]
"""What new statements are written under. It becomes the second once that is claimed, and nothing else changes."""


def read(uri: str) -> str:
    """`uri` as it would be written today where it is one of ours; any other as it is."""
    for prefix in PREFIXES:
        if uri.startswith(prefix):
            return WRITTEN + uri.removeprefix(prefix)
    return uri
