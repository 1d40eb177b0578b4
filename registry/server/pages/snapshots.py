"""What stands at a commit of the store: the rows of its tree, and the small files that pages show of every release.

Law: what a commit holds never changes, so what was read of it once is kept, the least recently asked for leaving first.
Who may see it was asked before. Content that the store keeps apart from git is not kept here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from registry.records import layout
from registry.server.store import objects
from registry.server.store.objects import TreeRow

MAX_BYTES = 64 << 20
"""Bytes that are kept of all that was read, about; in each process, and of files and of rows each."""
ROW_BYTES = 400
"""About what a row takes."""
SHOWN = (layout.RELEASE_ATTESTATION, layout.RECORD, layout.OPENNESS, layout.CARD)
"""The files that are read together."""
Kept = TypeVar("Kept")


@dataclass(slots=True)
class CommitCache(Generic[Kept]):
    """Values by (repository, commit), as many as fit."""

    _kept: OrderedDict[tuple[Path, str], tuple[Kept, int]] = field(default_factory=OrderedDict)
    _size: int = 0
    _lock: Lock = field(default_factory=Lock)

    def get(self, folder: Path, commit: str, read: Callable[[], tuple[Kept, int]]) -> Kept:
        """What was read there; read now where it is not kept. read: gives (the value, about its bytes)."""
        key = folder, commit
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        value, size = read()
        with self._lock:
            if key not in self._kept and size <= MAX_BYTES // 4:
                self._kept[key] = value, size
                self._size += size
                while self._size > MAX_BYTES:
                    self._size -= self._kept.popitem(last=False)[1][1]
        return value


_TEXTS: CommitCache[dict[str, bytes]] = CommitCache()
_ROWS: CommitCache[tuple[TreeRow, ...]] = CommitCache()


def texts(folder: Path, commit: str) -> dict[str, bytes]:
    """{path: bytes in git} of those files of SHOWN that stand at `commit`, by one process."""

    def read() -> tuple[dict[str, bytes], int]:
        found = objects.contents(folder, [f"{commit}:{path}" for path in SHOWN])
        there = {path: data for path, data in zip(SHOWN, found, strict=True) if data is not None}
        return there, sum(map(len, there.values())) + ROW_BYTES

    return _TEXTS.get(folder, commit, read)


def files(folder: Path, commit: str) -> tuple[TreeRow, ...]:
    """Every file at `commit`."""

    def read() -> tuple[tuple[TreeRow, ...], int]:
        found = tuple(row for row in objects.tree(folder, commit, recursive=True) if not row.directory)
        return found, ROW_BYTES * (1 + len(found))

    return _ROWS.get(folder, commit, read)
