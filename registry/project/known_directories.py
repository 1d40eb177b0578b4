"""What directories of many files of this working copy were found to hold, so that one look at each file is enough.

    .dvc/tmp/glasshouse/directories/NAME    "STATE DIGEST", a line, and the listing whose SHA-256 the digest is

Law: a digest is given again only where the directory holds the same names, each a plain file that is as it was by the
law of `known_digests`, and no .dvcignore above it has changed. It is kept only of a directory in which nothing was left
out, no file is a link, and each file's own digest could be kept.

It is a convenience of who builds, as `known_digests` is: an audit never reads it, and `--rehash` does not either. What
cannot be read or written, or does not fit, is measured.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from registry.digest import sha256_bytes, sha256_file
from registry.errors import GlasshouseError
from registry.files import write_atomic
from registry.manifest import MAX_FILES
from registry.project.many_files import FileState, look_rows, states

FOLDER = ".dvc/tmp/glasshouse/directories"
"""Where they are kept, from the project's root; one file for each path that was measured."""
ODD = frozenset({".dvc", ".git", ".hg", "__pycache__"})
"""Names of folders of which not everything counts."""
IGNORE = ".dvcignore"
_FIRST = re.compile(rb"([0-9a-f]{64}) ([0-9a-f]{64})\n")
_FIRST_BYTES = 130


class PlainDirectory(NamedTuple):
    """A directory in which nothing but plain files and folders was found."""

    names: list[str]
    """The path of each file inside, sorted."""
    rows: bytes
    """What the system says of each: `file_reader.ROW`, without a digest."""
    rules: str
    """The digest of each .dvcignore above it."""

    @property
    def state(self) -> str:
        """The digest of all that."""
        parts = (os.fsencode("\0".join(self.names)), self.rows, self.rules.encode())
        return sha256_bytes(b"".join(hashlib.sha256(part).digest() for part in parts))

    def files(self, folder: str) -> Iterator[tuple[str, FileState]]:
        """Where each file is, the directory being `folder`, and what is there."""
        return zip((f"{folder}/{name}" for name in self.names), states(self.rows), strict=True)


def plain_directory(path: Path, more_than: int) -> PlainDirectory | None:
    """What is in the directory at `path`; None where it has other things than plain files, or `more_than` or fewer."""
    try:
        folder = path.resolve()
        if not folder.is_dir() or (names := _names(f"{folder}/")) is None or len(names) <= more_than:
            return None
        return PlainDirectory(names, look_rows(names, str(folder)), " ".join(_rules(folder)))
    except OSError:
        return None  # whatever it is, `measure` says it


def _names(folder: str) -> list[str] | None:
    """The path of each file below `folder`, sorted; None where there is anything that is not plain, or too much."""
    found: list[str] = []
    waiting = [""]
    folders = 0
    while waiting:
        below = waiting.pop()
        with os.scandir(folder + below) as items:
            for item in items:
                if item.is_file(follow_symlinks=False):
                    found.append(below + item.name)
                elif item.is_dir(follow_symlinks=False) and item.name not in ODD and folders < MAX_FILES:
                    waiting.append(f"{below}{item.name}/")
                    folders += 1
                else:
                    return None
        if len(found) > MAX_FILES:
            return None
    return sorted(found)


def _rules(folder: Path) -> Iterator[str]:
    """Where there is a .dvcignore above `folder`, and what it hashes to. One in `folder` is a file like any other."""
    for above in folder.parents:
        if (path := above / IGNORE).is_file():
            yield f"{len(above.parts)}:{sha256_file(path)}"


class KnownDirectories:
    """Digests of the large directories of one working copy."""

    def __init__(self, root: Path, *, anew: bool) -> None:
        """root: the project's.  anew: know none, and keep what comes of it."""
        self._folder = root / FOLDER
        self._anew = anew

    def digest(self, path: str, found: PlainDirectory) -> str | None:
        """The digest of the directory at `path`, of which `found` is so now; None where it is not known."""
        if self._anew:
            return None
        try:
            with self._file(path).open("rb") as stream:
                first = _FIRST.fullmatch(stream.read(_FIRST_BYTES))
        except OSError:
            return None
        return first[2].decode() if first and first[1].decode() == found.state else None

    def keep(self, path: str, found: PlainDirectory, listing: str) -> None:
        """Keep the listing of the directory at `path`, which was as `found` before its files were hashed, and after."""
        data = listing.encode()
        with suppress(OSError, GlasshouseError):
            write_atomic(self._file(path), f"{found.state} {sha256_bytes(data)}\n".encode() + data)

    def listing(self, path: str, digest: str) -> bytes | None:
        """The listing of the directory at `path` whose SHA-256 is `digest`; None where it was not kept."""
        with suppress(OSError):
            data = self._file(path).read_bytes()[_FIRST_BYTES:]
            return data if sha256_bytes(data) == digest else None
        return None

    def _file(self, path: str) -> Path:
        return self._folder / sha256_bytes(path.encode())[:32]
