"""Which contents a repository has a right to, and how much a namespace has stored.

A line `id size` for each: `id` is the SHA-256 of a large file that somebody sent to this very repository, or a commit
whose regular files have `size` bytes together. Without the line, knowing a digest opens nothing: a blob of another
repository, perhaps a private one, is as good as not there.

Laws: a line is appended once its blob is whole; half a line, left by a power cut, counts for nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from registry.digest import is_sha256
from registry.files import write_atomic

FILE = "contents"
MAX_SEEN = 64
"""Ledgers that a process remembers, each as it was last."""
_SEEN: dict[Path, tuple[tuple[int, int, int], dict[str, int]]] = {}
_LINE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9]{1,16})")


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
            seen = (now, _parsed(path, info.st_size))
        _SEEN[path] = seen
        while len(_SEEN) > MAX_SEEN:
            with suppress(KeyError, StopIteration, RuntimeError):  # another thread was faster
                del _SEEN[next(iter(_SEEN))]
        return seen[1]

    def blobs(self) -> dict[str, int]:
        """{sha256: bytes} of the large files."""
        return {name: size for name, size in self.read().items() if is_sha256(name)}

    def append(self, rows: dict[str, int]) -> None:
        """Add what is not there yet, flushed to the disk."""
        known = self.read()
        new = {name: size for name, size in rows.items() if name not in known}
        if not new:
            return
        with (self.folder / FILE).open("ab+") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, end - 1))
            torn = end > 0 and stream.read(1) != b"\n"
            stream.write(b"\n" * torn + "".join(f"{name} {size}\n" for name, size in new.items()).encode())
            stream.flush()
            os.fsync(stream.fileno())

    def remove(self, names: Collection[str]) -> int:
        """Take rows away, the rest written beside and renamed; the bytes that they stood for."""
        known = self.read()
        gone = {name: known[name] for name in names if name in known}
        if gone:
            rest = "".join(f"{name} {size}\n" for name, size in known.items() if name not in gone)
            write_atomic(self.folder / FILE, rest.encode())
        return sum(gone.values())


def _parsed(path: Path, size: int) -> dict[str, int]:
    """The first `size` bytes of the ledger in `path`."""
    with path.open("rb") as stream:
        lines = stream.read(size).split(b"\n")[:-1]
    return {match[1].decode(): int(match[2]) for match in map(_LINE.fullmatch, lines) if match}


def usage(namespace: Path) -> int:
    """Bytes that the repositories in the folder `namespace` hold together; a blob in two of them counts twice."""
    return sum(sum(Ledger(folder).read().values()) for folder in namespace.glob("*.git"))
