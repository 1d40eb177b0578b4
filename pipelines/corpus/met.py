"""What was met so far, in a database on the disk: memory stays flat, however many documents there are.

SQLite keeps it in a file without a name, in the folder that TMPDIR says; it goes with the process, however that ends.
On the disk: about 40 bytes for each digest, and about 750 for each signature with its bands.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Sequence
from typing import Any

from registry.errors import Unavailable

CACHE = 16 << 10
"""The most KiB of it that are held in memory."""
SETTINGS = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")
"""Nothing of it is ever read again by another process, so nothing has to outlast a crash."""


class Database:
    """A database of this process, with the `tables` that it is asked for."""

    def __init__(self, *tables: str) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._connection.close)
        self.ask(f"PRAGMA cache_size = -{CACHE}")
        for statement in (*SETTINGS, *(f"CREATE TABLE {table}" for table in tables), "BEGIN"):
            self.ask(statement)

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the statement finds. Raises Unavailable where the disk is full."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as problem:
            raise _no_room(problem) from problem

    def add(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add the rows. Raises as `ask` does."""
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.Error as problem:
            raise _no_room(problem) from problem


class MetDigests:
    """The digests that were met, each once."""

    def __init__(self) -> None:
        self._database = Database("digests (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def __contains__(self, digest: bytes) -> bool:
        return bool(self._database.ask("SELECT 1 FROM digests WHERE digest = ?", digest))

    def add(self, digest: bytes) -> None:
        """Remember it."""
        self._database.ask("INSERT OR IGNORE INTO digests VALUES (?)", digest)


def _no_room(problem: sqlite3.Error) -> Unavailable:
    return Unavailable(
        f"what tells duplicates could not be kept on the disk: {problem}",
        mend="make room, or set TMPDIR to a folder that has some, and run the stage again",
    )
