"""Blobs in any store that fsspec reaches: `s3://bucket/prefix`, `gs://…`, `sftp://…`. The one door to fsspec.

Credentials come from the environment, as each store's own tools have them. An object is hashed once more on its way out
of here, and given its name (`commit`) only when the digest held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from registry import extras
from registry.errors import InputError, Unavailable
from registry.server.problems import Problem
from registry.server.store.blobs import Blob, missing, shard

CHUNK = 4 << 20
"""Bytes of one request to the store."""


class RemoteBlobs:
    """The store at `url`. Raises InputError for a URL that nothing here can read, Unavailable where nothing answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            with _answering(url):
                files, root = self._open()
                files.makedirs(root, exist_ok=True)
        except Problem as problem:
            raise Unavailable(f"{url} cannot be used: {problem}", mend="check it, and its credentials") from problem

    def size(self, sha256: str) -> int | None:
        """See BlobStore."""
        files, root = self._open()
        with _answering(self._url):
            try:
                return int(files.info(f"{root}/{shard(sha256)}")["size"])
            except FileNotFoundError:
                return None

    def read(self, sha256: str, start: int, end: int) -> Iterator[bytes]:
        """See BlobStore."""
        files, root = self._open()
        path = f"{root}/{shard(sha256)}"
        while start < end:
            with _answering(self._url):
                try:
                    chunk: bytes = files.cat_file(path, start=start, end=min(start + CHUNK, end))
                except FileNotFoundError as problem:
                    raise missing(sha256) from problem
            if not chunk:
                return
            start += len(chunk)
            yield chunk

    def put(self, source: Path, sha256: str, size: int) -> None:
        """See BlobStore. What is there already in that size is not sent again."""
        files, root = self._open()
        path = f"{root}/{shard(sha256)}"
        digest, before = hashlib.sha256(), self.size(sha256)
        if before == size:
            return
        with _answering(self._url):
            files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            target = files.open(path, "wb", autocommit=False)
            try:
                with source.open("rb") as stream:
                    while chunk := stream.read(CHUNK):
                        digest.update(chunk)
                        target.write(chunk)
                target.close()
                if digest.hexdigest() != sha256:
                    raise OSError(f"the upload of {sha256} was damaged on the disk")
            except BaseException:
                with suppress(*_faults()):
                    target.discard()
                    if before is None:  # some stores give the name at once
                        files.rm_file(path)
                raise
            target.commit()
            files.invalidate_cache()
            if files.info(path)["size"] != size:
                raise OSError(f"it keeps another size than {size} bytes of {sha256}")

    def digest(self, sha256: str) -> str:
        """See BlobStore."""
        digest = hashlib.sha256()
        for chunk in self.read(sha256, 0, self.size(sha256) or 0):
            digest.update(chunk)
        return digest.hexdigest()

    def all(self) -> Iterator[Blob]:
        """See BlobStore."""
        files, root = self._open()
        with _answering(self._url):
            try:
                found: dict[str, dict[str, Any]] = files.find(f"{root}/sha256", detail=True)
            except FileNotFoundError:
                return
        for path, facts in sorted(found.items()):
            yield Blob(path.rsplit("/", 1)[1], int(facts["size"]))

    def modified(self, sha256: str) -> float:
        """See BlobStore."""
        files, root = self._open()
        with _answering(self._url):
            try:
                return float(files.modified(f"{root}/{shard(sha256)}").timestamp())
            except FileNotFoundError as problem:
                raise missing(sha256) from problem

    def remove(self, sha256: str) -> None:
        """See BlobStore."""
        files, root = self._open()
        with _answering(self._url):
            try:
                files.rm_file(f"{root}/{shard(sha256)}")
            except FileNotFoundError:
                return

    def _open(self) -> tuple[Any, str]:
        """(the file system, the root in it). Asked for anew each time: after a fork the old one would not do."""
        import fsspec

        try:
            files, root = fsspec.url_to_fs(self._url)
        except (ImportError, ValueError) as problem:
            mend = f"install what fsspec needs for it; for s3://: {extras.mend('s3')}"
            raise InputError(f"{self._url} cannot be read here: {problem}", mend=mend) from problem
        files.invalidate_cache()  # what it has listed once, it would believe for ever; others put and remove, too
        return files, root.rstrip("/")


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Around a call of the store: its faults become Problem 503, for the client to try again."""
    try:
        yield
    except _faults() as problem:
        words = f"the store of large files does not answer: {type(problem).__name__}"
        raise Problem(503, words, headers={"Retry-After": "10"}) from problem


def _faults() -> tuple[type[Exception], ...]:
    """What a store's faults are: those of the system, and those of S3's library, where it is installed."""
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return (OSError,)
    return (OSError, BotoCoreError)
