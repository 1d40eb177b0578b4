"""Blobs in a folder of this machine."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from registry.digest import sha256_file
from registry.files import sync_directory
from registry.server.store.blobs import Blob, missing, shard

CHUNK = 1 << 18
"""Bytes of a blob that are read at a time: what each download holds in memory, twice."""


class LocalBlobs:
    """A folder of blobs, `sha256/ab/cd/abcd…`; links are not followed. What is put must lie on the same file system."""

    def __init__(self, root: Path) -> None:
        self._root = root
        (root / "sha256").mkdir(parents=True, exist_ok=True)

    def size(self, sha256: str) -> int | None:
        """See BlobStore."""
        try:
            info = self._path(sha256).lstat()
        except FileNotFoundError:
            return None
        return info.st_size if stat.S_ISREG(info.st_mode) else None

    def read(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        """See BlobStore."""
        try:
            descriptor = os.open(self._path(sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as problem:
            if problem.errno not in (errno.ENOENT, errno.ELOOP):
                raise
            raise missing(sha256) from problem
        with open(descriptor, "rb", buffering=0) as stream:
            stream.seek(start)
            while start < end and (chunk := stream.read(min(CHUNK, end - start))):
                start += len(chunk)
                yield chunk

    def put(self, source: Path, sha256: str, size: int) -> None:
        """See BlobStore. `source` is flushed to the disk already."""
        place = self._path(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        source.chmod(0o444)
        source.replace(place)
        for folder in (place.parent, place.parent.parent, place.parent.parent.parent):
            sync_directory(folder)

    def digest(self, sha256: str) -> str:
        """See BlobStore. Raises Problem 404 where it is not here, or a link."""
        if self.size(sha256) is None:
            raise missing(sha256)
        return sha256_file(self._path(sha256))

    def all(self) -> Iterator[Blob]:
        """See BlobStore."""
        for path in (self._root / "sha256").glob("??/??/*"):
            yield Blob(path.name, path.lstat().st_size)

    def modified(self, sha256: str) -> float:
        """See BlobStore."""
        try:
            return self._path(sha256).lstat().st_mtime
        except FileNotFoundError as problem:
            raise missing(sha256) from problem

    def remove(self, sha256: str) -> None:
        """See BlobStore."""
        self._path(sha256).unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._root / shard(sha256)
