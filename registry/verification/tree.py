"""The files of a release where they lie on this machine: which there are, and what their digests are.

A `Tree` is a directory that holds plain files and nothing else. What holds a release in another way is a tree of its
own kind: it says which files it has, and where their bytes lie; whoever reads one opens `tree.root / path`.

Law: `digests` measures the bytes that `root / path` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from registry.digest import Algorithm, Digests, Progress, measure_files
from registry.manifest import MAX_FILES, walk

Wanted = Sequence[tuple[str, frozenset[Algorithm]]]
"""Paths of files, each with the algorithms by which it is to be measured."""


class Tree:
    """A directory of plain files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, *, max_files: int = MAX_FILES) -> list[tuple[str, int]]:
        """(path, size) of each file, sorted by path. Raises InputError as `walk` does."""
        return walk(self.root, max_files=max_files)

    def digests(self, wanted: Wanted, progress: Progress | None = None) -> list[Digests]:
        """What was measured of each file, in their order. Raises OSError for one that cannot be read, or is a link."""
        return measure_files(((self.root / path, algorithms) for path, algorithms in wanted), progress)
