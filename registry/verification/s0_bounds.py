"""Step 0: is this a directory that may be looked at at all? Asked before any of its files is parsed."""

from __future__ import annotations

from registry.errors import Malformed
from registry.manifest import check_portable, twins
from registry.records import layout
from registry.verification.tree import Tree

MAX_FILES = 100_000
MAX_RECORD_BYTES = 64 << 20
"""A record is JSON or text that is read whole."""
MAX_ROWS_BYTES = 64 << 30
"""The rows of a data manifest are streamed."""
MAX_WEIGHTS_BYTES = 8 << 40


def limit(path: str) -> int:
    """The most bytes that the file at `path` of a release may have."""
    if path in (layout.DATA_ROWS, layout.DATA_TABLE):
        return MAX_ROWS_BYTES
    if path.startswith((f"{layout.PROVENANCE}/", f"{layout.ATTESTATIONS}/")) or path in (layout.SIGNATURE, layout.CARD):
        return MAX_RECORD_BYTES
    return MAX_WEIGHTS_BYTES


def check(tree: Tree) -> list[tuple[str, int]]:
    """Every file of `tree`: (path, size).

    Raises Malformed for links, devices, forbidden paths, paths alike but for case, too many or too large files;
    InputError for a folder that cannot be read. No file is opened.
    """
    files = tree.files(max_files=MAX_FILES)
    if alike := twins(path for path, _ in files):
        raise Malformed(f"paths alike but for case: {', '.join(alike[:5])}", mend="do not use this release")
    for path, size in files:
        check_portable(path)
        if size > limit(path):
            raise Malformed(
                f"{path} has {size} bytes, more than the {limit(path)} allowed", mend="do not use this release"
            )
    return files
