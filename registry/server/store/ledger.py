"""Which contents a repository has a right to, and how much a namespace has stored.

A line `id size seconds` for each: `id` is the SHA-256 of a large file that somebody sent to this very repository, or a
commit whose regular files have `size` bytes together; `seconds`, since 1970, is when it was entered, and of two lines
the last counts (older servers left it out). Without the line, knowing a digest opens nothing: a blob of another
repository, perhaps a private one, is as good as not there.

Laws: a line is appended once its blob is whole; half a line, left by a power cut, counts for nothing.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from registry.digest import is_sha256
from registry.files import write_atomic

FILE = "contents"
MAX_SEEN = 64
"""Ledgers that a process remembers, each as it was last."""
_SEEN: dict[Path, tuple[tuple[int, int, int], dict[str, int]]] = {}
_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9]{1,16})(?: ([0-9]{1,12}))?")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of the repository in `folder`. Append under the repository's lock."""

    folder: Path

    def read(self) -> dict[str, int]:
        """{id: bytes}."""
        path = self.folder / FILE
        try:
            info = path.stat()
        except FileNotFoundError:
            return {}
        now = (info.st_ino, info.st_mtime_ns, info.st_size)
        seen = _SEEN.pop(path, None)
        if seen is None or seen[0] != now:
            seen = (now, {name: size for name, (size, _) in _rows(path, info.st_size).items()})
        _SEEN[path] = seen
        while len(_SEEN) > MAX_SEEN:
            with suppress(KeyError, StopIteration, RuntimeError):  # another thread was faster
                del _SEEN[next(iter(_SEEN))]
        return seen[1]

    def blobs(self) -> dict[str, int]:
        """{sha256: bytes} of the large files."""
        return {name: size for name, size in self.read().items() if is_sha256(name)}

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
            stream.write(b"\n" * torn + "".join(f"{name} {size} {now}\n" for name, size in new.items()).encode())
            stream.flush()
            os.fsync(stream.fileno())

    def entered(self) -> dict[str, int]:
        """{id: when it was entered}; 0 where that is not told."""
        return {name: at for name, (_, at) in _rows(self.folder / FILE).items()}

    def remove(self, names: Collection[str]) -> int:
        """Take rows away, the rest written beside and renamed; the bytes that they stood for."""
        rows = _rows(self.folder / FILE)
        gone = {name for name in names if name in rows}
        if gone:
            rest = "".join(f"{name} {size} {at}\n" for name, (size, at) in rows.items() if name not in gone)
            write_atomic(self.folder / FILE, rest.encode())
        return sum(rows[name][0] for name in gone)


def _rows(path: Path, most: int = -1) -> dict[str, tuple[int, int]]:
    """{id: (bytes, when)} of the first `most` bytes of the ledger in `path`; none where there is no ledger."""
    try:
        with path.open("rb") as stream:
            lines = stream.read(most).split(b"\n")[:-1]
    except FileNotFoundError:
        return {}
    return {match[1].decode(): (int(match[2]), int(match[3] or 0)) for match in map(_LINE.fullmatch, lines) if match}


def usage(namespace: Path) -> int:
    """Bytes that the repositories in the folder `namespace` hold together; a blob in two of them counts twice."""
    return sum(sum(Ledger(folder).read().values()) for folder in namespace.glob("*.git"))
