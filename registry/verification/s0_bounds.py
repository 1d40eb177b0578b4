"""Step 0: is this a directory that may be looked at at all? Asked before any of its files is parsed."""

from __future__ import annotations

from pathlib import Path

from registry import formats
from registry.errors import InputError
from registry.manifest import twins, walk
from registry.records import layout

MAX_FILES = 100_000
MAX_RECORD_BYTES = 64 << 20
"""A record is JSON or text that is read whole."""
MAX_ROWS_BYTES = 64 << 30
"""The rows of a data manifest are streamed."""
MAX_WEIGHTS_BYTES = 8 << 40


def limit(path: str) -> int:
    """The most bytes that the file at `path` of a release may have."""
    if path == layout.DATA_ROWS:
        return MAX_ROWS_BYTES
    if path.startswith((f"{layout.PROVENANCE}/", f"{layout.ATTESTATIONS}/")) or path in (layout.SIGNATURE, layout.CARD):
        return MAX_RECORD_BYTES
    return MAX_WEIGHTS_BYTES


def check(root: Path) -> str:
    """Say what was counted.

    Raises InputError for links, devices, forbidden paths, paths alike but for case, too many or too large files, and
    files that could run code when they are loaded. No more than the first bytes of a file are read.
    """
    files = walk(root, max_files=MAX_FILES)
    if alike := twins(path for path, _ in files):
        raise InputError(f"paths alike but for case: {', '.join(alike[:5])}", mend="do not use this release")
    for path, size in files:
        if size > limit(path):
            raise InputError(
                f"{path} has {size} bytes, more than the {limit(path)} allowed", mend="do not use this release"
            )
        if reason := formats.found(root / path):
            raise InputError(f"{path} {reason}", mend="do not load it; ask for safetensors")
    return f"{len(files)} plain files, {sum(size for _, size in files)} bytes, no path leads out"
