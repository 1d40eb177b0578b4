"""Which contents a repository has a right to, and how much a namespace has stored.

A line `id size seconds` for each: `id` is the SHA-256 of a large file that somebody sent to this very repository, or a
commit whose regular files have `size` bytes together; `seconds`, since 1970, is when it was entered, and of two lines
the last counts (older servers left it out). Without the line, knowing a digest opens nothing: a blob of another
repository, perhaps a private one, is as good as not there.

Laws: a line is appended once its blob is whole; half a line, left by a power cut, counts for nothing, wherever it was
cut. A ledger is appended to, or replaced by another file, and never changed else: so whoever has read it reads on where
it ended.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from registry.digest import is_sha256
from registry.files import write_atomic

FILE = "contents"
MAX_SEEN = 64
"""Ledgers that a process remembers, each as it was last."""
_SEEN: dict[Path, _SeenLedger] = {}
_LOOKING = Lock()
_TORN = b"?\n"
"""Ends half a line: without the first letter, `id 12` of `id 12345` would be a whole one."""
_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9]{1,16})(?: ([0-9]{1,12}))?")


@dataclass(slots=True)
class _SeenLedger:
    """A ledger as it was read last.

    descriptor: of its file, which is held open so that no other file gets its number.  end: of the last line that was
    read.  state: when the file had been written, and its size.  rows, blobs: as `Ledger.read` and `Ledger.blobs` give
    them; others take their place when more is read.
    """

    descriptor: int
    end: int = 0
    state: tuple[int, int] = (0, 0)
    rows: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)

    def __del__(self) -> None:
        os.close(self.descriptor)

    def is_of(self, info: os.stat_result) -> bool:
        """Whether the ledger is still that file, with nothing but more lines."""
        with suppress(OSError):  # NFS says so of what another host has replaced
            same = os.path.samestat(os.fstat(self.descriptor), info)
            return same and (self.end < info.st_size or self.state == (info.st_mtime_ns, info.st_size))
        return False

    def read_on(self, info: os.stat_result) -> None:
        """Read the lines that were appended since."""
        state = (info.st_mtime_ns, info.st_size)
        if state == self.state:
            return
        data = os.pread(self.descriptor, info.st_size - self.end, self.end)
        rows = {name: size for name, (size, _) in _rows(data).items()}
        self.rows = self.rows | rows
        self.blobs = self.blobs | {name: size for name, size in rows.items() if is_sha256(name)}
        self.end += data.rfind(b"\n") + 1
        self.state = state


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of the repository in `folder`. Append under the repository's lock."""

    folder: Path

    def read(self) -> dict[str, int]:
        """{id: bytes}. Not to be changed."""
        return self._seen()[0]

    def blobs(self) -> dict[str, int]:
        """{sha256: bytes} of the large files. Not to be changed."""
        return self._seen()[1]

    def _whole(self) -> dict[str, tuple[int, int]]:
        """{id: (bytes, when it was entered)}."""
        try:
            return _rows((self.folder / FILE).read_bytes())
        except FileNotFoundError:
            return {}

    def _seen(self) -> tuple[dict[str, int], dict[str, int]]:
        path = self.folder / FILE
        with _LOOKING:
            seen = _SEEN.pop(path, None)
            try:
                info = path.stat()
                if seen is None or not seen.is_of(info):
                    seen = _SeenLedger(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                    info = os.fstat(seen.descriptor)
                seen.read_on(info)
            except FileNotFoundError:
                return {}, {}
            _SEEN[path] = seen
            if len(_SEEN) > MAX_SEEN:
                del _SEEN[next(iter(_SEEN))]
            return seen.rows, seen.blobs

    def append(self, rows: Mapping[str, int], *, again: bool = False) -> None:
        """Add what is not there yet, flushed to the disk. again: and what is there is entered anew."""
        known = {} if again else self.read()
        new = {name: size for name, size in rows.items() if name not in known}
        if not new:
            return
        now = int(time.time())
        with (self.folder / FILE).open("ab+") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, end - 1))
            torn = end > 0 and stream.read(1) != b"\n"
            stream.write(_TORN * torn + "".join(f"{name} {size} {now}\n" for name, size in new.items()).encode())
            stream.flush()
            os.fsync(stream.fileno())

    def entered(self) -> dict[str, int]:
        """{id: when it was entered}; 0 where that is not told."""
        return {name: at for name, (_, at) in self._whole().items()}

    def remove(self, names: Collection[str]) -> int:
        """Take rows away, the rest written beside and renamed; the bytes that they stood for."""
        rows = self._whole()
        gone = {name for name in names if name in rows}
        if gone:
            rest = "".join(f"{name} {size} {at}\n" for name, (size, at) in rows.items() if name not in gone)
            write_atomic(self.folder / FILE, rest.encode())
        return sum(rows[name][0] for name in gone)


def _rows(lines: bytes) -> dict[str, tuple[int, int]]:
    """{id: (bytes, when)} of whole lines, and whatever else stands between them."""
    found = map(_LINE.fullmatch, lines.split(b"\n")[:-1])
    return {match[1].decode(): (int(match[2]), int(match[3] or 0)) for match in found if match}


def usage(namespace: Path) -> int:
    """Bytes that the repositories in the folder `namespace` hold together; a blob in two of them counts twice."""
    return sum(sum(Ledger(folder).read().values()) for folder in namespace.glob("*.git"))
