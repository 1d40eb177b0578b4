"""Large files by their SHA-256, where they stay: in a folder here, or in any store that fsspec reaches (`remote.py`).

Laws, of every store: a blob that is there is whole, durable, and has the digest of its name; putting the same blob
twice is harmless; half a blob is never seen under its name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from registry.digest import is_sha256, sha256_file
from registry.errors import InputError
from registry.files import sync_directory, write_atomic
from registry.server.problems import Problem

CHUNK = 1 << 18
"""Bytes of a blob that are read at a time: what each download holds in memory, twice."""
PLACE = "blobs.url"
"""The file in the server's folder that names the store, where it is not in this folder."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob of a store. size: in bytes."""

    sha256: str
    size: int


class BlobStore(Protocol):
    """Where blobs are kept. Every call may block, and may raise Problem 503 where the store does not answer."""

    def size(self, sha256: str) -> int | None:
        """Bytes of that blob, or None where it is not here."""

    def read(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, a chunk at a time. Raises Problem 404 where it is not here."""

    def put(self, source: Path, sha256: str, size: int) -> None:
        """Keep the file `source`, which has that digest and size; it may be moved away."""

    def digest(self, sha256: str) -> str:
        """The SHA-256 of the blob of that name, as it is now."""

    def all(self) -> Iterator[Blob]:
        """Every blob."""

    def modified(self, sha256: str) -> float:
        """When it was put last, seconds since 1970. Raises Problem 404 where it is not here."""

    def remove(self, sha256: str) -> None:
        """Take it away; harmless where it is not here."""


def shard(sha256: str) -> str:
    """Where the blob of that digest is in its store. Raises Problem 422 for what is no SHA-256."""
    if not is_sha256(sha256):
        raise Problem(422, "an object id is 64 lowercase hex characters")
    return f"sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def missing(sha256: str) -> Problem:
    """The problem of a blob that is not here."""
    return Problem(404, f"the object {sha256} is not here")


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


def blob_store(root: Path, url: str | None = None) -> BlobStore:
    """The store of the server whose folder is `root`: at `url`, where it was first told to be, else in the folder.

    Raises InputError for another URL than the first one, or one that nothing here can read; Unavailable where nothing
    answers there.
    """
    place = root / PLACE
    known = place.read_text().strip() if place.exists() else None
    if url is not None and known is None and any((root / "blobs" / "sha256").glob("??/??/*")):
        raise InputError(f"the blobs of {root} are in it already, not at {url}", mend="leave --blobs out")
    if url is not None and known not in (None, url):
        raise InputError(f"the blobs of {root} are at {known}, not at {url}", mend="leave --blobs out")
    address = url or known
    if address is None:
        return LocalBlobs(root / "blobs")
    if urlsplit(address).password is not None:
        raise InputError("a URL with a password would be kept in a file", mend="leave credentials to the environment")
    from registry.server.store.remote import RemoteBlobs

    store = RemoteBlobs(address)
    if known is None:
        write_atomic(place, f"{address}\n".encode())
    return store
