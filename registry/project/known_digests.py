"""What files of this working copy were found to hash to, so that a file that did not change is not hashed twice.

    .dvc/tmp/glasshouse/digests.sqlite    by inode: device, size, times of change, SHA-256

Law: a digest is given again only where device, inode, size, mtime and ctime are what they were before and after it was
computed, and both times were over when that began. No program sets a ctime, so what wrote to the file since has changed
it; but for one that has it mapped into its memory, and writes there while another program reads. A file that changed
just before it was hashed could change again within the same tick of the clock: nothing is kept of it.

It is a convenience of who builds. An audit never reads it, and `--rehash` does not either. Where it cannot be read or
written, files are hashed.
Source: git, Documentation/technical/racy-git.txt, for the same question of its index.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from registry.project.known_directories import KnownDirectories
from registry.project.many_files import FileState, read

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

ROW = 128
"""At least the bytes that the store has for each file. One that holds little besides what is asked for is read whole:
with 100,000 files that takes half the time."""

_TABLE = "CREATE TABLE IF NOT EXISTS files (inode INTEGER PRIMARY KEY, known BLOB)"
"""known: the state of the file, 32 bytes, and the 32 of its digest."""
_SIZE = 64
_WHOLE = f"SELECT inode, known FROM files WHERE typeof(known) = 'blob' AND length(known) = {_SIZE}"
_ASKED = f"{_WHOLE} AND inode IN (SELECT value FROM json_each(?))"


class KnownDigests:
    """Digests of the files of one working copy."""

    def __init__(self, root: Path, *, anew: bool = False) -> None:
        """root: the project's.  anew: hash every file, and keep what comes of it."""
        self._path = root / FILE
        self._anew = anew
        self.directories = KnownDirectories(root, anew=anew)

    def sha256(self, files: Sequence[tuple[str, FileState]]) -> tuple[list[str], list[int]]:
        """The SHA-256 of each of `files`, paths with what is there, in their order; and which could not be kept.

        Those are told by their number, in ascending order. Raises OSError where one cannot be read or is a link.
        """
        began = time.time_ns()
        known = {} if self._anew else self._recall([file.inode for _, file in files])
        kept = [(known.get(file.inode, b""), file.state) for _, file in files]
        digests = [row[32:].hex() if row[:32] == state else "" for row, state in kept]
        missing = [number for number, digest in enumerate(digests) if not digest]
        new, unsettled = [], []
        for number, after in zip(missing, read([files[number] for number in missing]), strict=True):
            digests[number] = after.sha256.hex()
            if after.same_file(files[number][1]) and _settled(after, began):
                new.append((after.inode, after.state + after.sha256))
            else:
                unsettled.append(number)
        self._keep(new)
        return digests, unsettled

    def _recall(self, inodes: Sequence[int]) -> dict[int, bytes]:
        """What the store holds of those of `inodes` that it knows; and, it may be, of others."""
        if not self._path.is_file():
            return {}
        try:
            with closing(sqlite3.connect(self._path, timeout=WAIT)) as store:
                if self._path.stat().st_size <= ROW * len(inodes):
                    return dict(store.execute(_WHOLE))
                return dict(store.execute(_ASKED, [json.dumps(inodes)]))
        except (sqlite3.Error, OSError):
            return {}

    def _keep(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Keep `rows`, each an inode and what is known of it; what cannot be kept is hashed again another time."""
        if not rows:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.is_file() and self._path.stat().st_size > MAX_BYTES:
                self._path.unlink()
            with closing(sqlite3.connect(self._path, timeout=WAIT)) as store, store:
                store.execute("PRAGMA synchronous = OFF")
                store.execute(_TABLE)
                store.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError, OverflowError):
            return


def _settled(file: FileState, began: int) -> bool:
    """Whether a change after `began`, in nanoseconds, would show in the times of the file."""
    mtime, ctime = file.changed
    tick = COARSE if ctime % 1_000_000_000 == 0 else TICK
    return max(mtime, ctime) + tick < began
