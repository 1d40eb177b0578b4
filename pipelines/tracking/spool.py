"""Entries that wait to be sent: one small file each in build/tracking, sent in the order of their names.

Law: an entry that `put` took is there, whole, until it is removed; together they never take more than MAX_ENTRIES files
and MAX_BYTES. The folder is an output of no stage, and git ignores it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.tracking.entries import Entry, parse
from registry.errors import Unavailable
from registry.files import read_bytes, write_atomic

FOLDER = Path("build/tracking")
LOCK = ".lock"
MAX_ENTRIES = 10_000
MAX_BYTES = 64 << 20
MAX_ENTRY = 16 << 20


def put(entry: Entry) -> bool:
    """Keep `entry` until it is sent. False where there is no room, on the disk or within the bounds."""
    data = entry.to_bytes()
    try:
        kept = waiting()
        taken = sum(path.stat().st_size for path in kept)
        if len(kept) >= MAX_ENTRIES or taken + len(data) > MAX_BYTES or len(data) > MAX_ENTRY:
            return False
        write_atomic(FOLDER / f"{time.time_ns():020d}-{os.getpid()}.json", data)
    except OSError:
        return False
    return True


def waiting() -> list[Path]:
    """The entries that wait, the oldest first."""
    return sorted(path for path in FOLDER.glob("*.json") if not path.name.startswith("."))


def read(path: Path) -> Entry:
    """The entry in the file at `path`. Raises InputError where there is none."""
    return parse(read_bytes(path, MAX_ENTRY), name=str(path))


@contextmanager
def alone() -> Iterator[None]:
    """Within, no other process sends what waits. Raises Unavailable where one does."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise Unavailable("another process is sending what waits", mend="wait for it to end") from problem
        yield
