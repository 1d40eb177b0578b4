"""What files of this working copy were found to hash to, so that a file that did not change is not hashed twice.

    .dvc/tmp/glasshouse/digests.sqlite    by device and inode: size, times of change, SHA-256

Law: a digest is given again only where device, inode, size, mtime and ctime are what they were before and after it was
computed, and both times were over when that began. No program sets a ctime, so what wrote to the file since has changed
it; but for one that has it mapped into its memory, and writes there while another program reads. A file that changed
just before it was hashed could change again within the same tick of the clock: nothing is kept of it.

It is a convenience of who builds. An audit never reads it, and `--rehash` does not either. Where it cannot be read or
written, files are hashed.
Source: git, Documentation/technical/racy-git.txt, for the same question of its index.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from registry.digest import is_sha256, sha256_files

FILE = ".dvc/tmp/glasshouse/digests.sqlite"
"""Where they are kept, from the project's root: in the folder that never leaves the working copy."""
MAX_BYTES = 1 << 30
"""A larger file of them is begun anew: some 10 million files."""
TICK = 100_000_000
"""Nanoseconds in which a file can change twice and show one time: more than a tick of the kernel's clock."""
COARSE = 2_000_000_000
"""The same where the file system tells whole seconds, or pairs of them."""
WAIT = 5.0
"""Seconds to wait for another process that writes."""

AT_ONCE = 500
"""Files that one question to the store asks for; SQLite's bound is 999 and more."""

_TABLE = """CREATE TABLE IF NOT EXISTS digests
(file TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, sha256 TEXT) WITHOUT ROWID"""
_Row = tuple[str, int, int, int]
"""Device and inode; size, mtime and ctime, in bytes and nanoseconds."""


class PlainFile(NamedTuple):
    """A regular file, not a link to one."""

    path: str
    """Where it is."""
    found: os.stat_result
    """What the file system says of it, itself."""


class KnownDigests:
    """Digests of the files of one working copy."""

    def __init__(self, root: Path, *, anew: bool = False) -> None:
        """root: the project's.  anew: hash every file, and keep what comes of it."""
        self._path = root / FILE
        self._anew = anew

    def sha256(self, files: Sequence[PlainFile]) -> list[str]:
        """The SHA-256 of each of `files`, in their order. Raises OSError where one cannot be read or is a link."""
        rows = [_row(file.found) for file in files]
        known = {} if self._anew else self._recall(rows)
        began = time.time_ns()
        missing = [number for number, row in enumerate(rows) if row not in known]
        paths = [Path(files[number].path) for number in missing]
        hashed = dict(zip(missing, sha256_files(paths), strict=True))
        settled = [number for number in missing if _settled(rows[number], began)]
        same = [number for number in settled if _row(os.lstat(files[number].path)) == rows[number]]
        self._keep([(*rows[number], hashed[number]) for number in same])
        return [hashed[number] if number in hashed else known[row] for number, row in enumerate(rows)]

    def _recall(self, rows: Sequence[_Row]) -> dict[_Row, str]:
        """What is known of those of `rows` that are known."""
        if not self._path.is_file():
            return {}
        try:
            with closing(sqlite3.connect(self._path, timeout=WAIT)) as store:
                return dict(_rows(store, rows))
        except (sqlite3.Error, OSError, OverflowError):
            return {}

    def _keep(self, rows: Sequence[tuple[str, int, int, int, str]]) -> None:
        """Keep the digest that ends each of `rows`; where that cannot be, it is computed again another time."""
        if not rows:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.is_file() and self._path.stat().st_size > MAX_BYTES:
                self._path.unlink()
            with closing(sqlite3.connect(self._path, timeout=WAIT)) as store, store:
                store.execute("PRAGMA synchronous = OFF")
                store.execute(_TABLE)
                store.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", rows)
        except (sqlite3.Error, OSError):
            return


def _rows(store: sqlite3.Connection, rows: Sequence[_Row]) -> Iterator[tuple[_Row, str]]:
    for first in range(0, len(rows), AT_ONCE):
        asked = {row[0]: row for row in rows[first : first + AT_ONCE]}
        query = f"SELECT file, size, mtime, ctime, sha256 FROM digests WHERE file IN ({', '.join('?' * len(asked))})"
        for *kept, sha256 in store.execute(query, list(asked)):
            if asked[kept[0]] == tuple(kept) and is_sha256(sha256):
                yield asked[kept[0]], sha256


def _row(found: os.stat_result) -> _Row:
    return f"{found.st_dev}:{found.st_ino}", found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _settled(row: _Row, began: int) -> bool:
    """Whether a change after `began`, in nanoseconds, would show in the times of the file."""
    _, _, mtime, ctime = row
    tick = COARSE if ctime % 1_000_000_000 == 0 else TICK
    return max(mtime, ctime) + tick < began
