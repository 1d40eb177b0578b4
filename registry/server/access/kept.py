"""A record in a file of the server's folder, which several processes read and change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from registry.errors import Refused
from registry.files import write_atomic
from registry.records.record import Record
from registry.server.locks import locked

MAX_BYTES = 32 << 20
MODE = 0o600
"""Nobody else on the machine reads what is kept so."""

Kind = TypeVar("Kind", bound=Record)


class KeptRecord(Generic[Kind]):
    """The record at `path`, `empty` where there is no file. Law: what one process has written, the others read next."""

    def __init__(self, path: Path, empty: Kind) -> None:
        self._path = path
        self._empty = empty
        self._seen: tuple[int, int, int] | None = None
        self._last = empty

    def read(self) -> Kind:
        """What it says now; the file is read again only where it has changed. Raises InputError for another file."""
        try:
            info = self._path.stat()
        except FileNotFoundError:
            self._seen, self._last = None, self._empty
            return self._last
        now = (info.st_ino, info.st_mtime_ns, info.st_size)
        if now != self._seen:
            self._last = type(self._empty).read(self._path, max_bytes=MAX_BYTES)
            self._seen = now
        return self._last

    def settled(self) -> Kind:
        """What it says once whoever is changing it has done so. Raises as `read`."""
        with locked(self._path.with_suffix(".lock"), shared=True):
            return self.read()

    def change(self, work: Callable[[Kind], Kind]) -> Kind:
        """Put `work(what it says)` in its place, while nobody else changes it. What it says from now on.

        Raises Refused where it would say more than is read: nobody would be known any more.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._path.with_suffix(".lock")):
            before = self.read()
            after = work(before)
            if after != before or not self._path.exists():
                if len(data := after.to_bytes()) > MAX_BYTES:
                    raise Refused(f"{self._path.name} would have more than {MAX_BYTES} bytes", mend="remove old rows")
                write_atomic(self._path, data, MODE)
        return after
