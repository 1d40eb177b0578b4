"""Pointers of Git LFS: what stands in git for a large file. Source: git-lfs, docs/spec.md, "The Pointer"."""

from __future__ import annotations

import re

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n")
SIZES = range(120, 160)
"""Bytes of a pointer: 126 and the digits of a size."""


def pointer(sha256: str, size: int) -> bytes:
    """What stands in git for a large file. Source: git-lfs, docs/spec.md, "The Pointer"."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def pointed(data: bytes) -> tuple[str, int] | None:
    """(SHA-256, bytes) of the large file whose pointer `data` is, letter for letter; None for what is not one."""
    found = _POINTER.fullmatch(data)
    return None if found is None else (found[1].decode(), int(found[2]))
