"""The large files of one server: which a repository has, how they are let in, and what their bytes are.

Law: what is entered in a repository's ledger is whole in the store of blobs, and within the quota of its namespace.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

from registry.server.locks import locked
from registry.server.problems import ENTRY_NOT_FOUND, Problem
from registry.server.store import objects
from registry.server.store.blobs import BlobStore, missing
from registry.server.store.objects import TreeRow
from registry.server.store.places import COLLECT_LOCK, PUTTING
from registry.server.store.quota import Quota
from registry.server.store.repository import Repository
from registry.server.store.uploads import Uploads

Read = Callable[[int, int], Iterator[bytes]]
"""(start, end) to the bytes from `start` up to `end`, a chunk at a time; an empty one where the next is on its way."""
PAUSE = 0.05
"""Seconds to wait for it, each time."""
CHUNK = 1 << 18
"""Bytes of a file in git that are held in memory while it is sent."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file.

    digest: SHA-256 of a large file, git's SHA-1 of any other.  size: in bytes.  large: whether it is a large file.
    """

    digest: str
    size: int
    read: Read
    large: bool


@dataclass(frozen=True, slots=True)
class LargeFiles:
    """Those of the server whose folder is `root`."""

    root: Path
    blobs: BlobStore
    uploads: Uploads
    quota: Quota

    def here(self, repo: Repository, asked: Iterable[str]) -> dict[str, int]:
        """{sha256: bytes} of those asked for that the repository has a right to, and that are whole in the store."""
        entered = repo.contents.blobs()
        return {oid: entered[oid] for oid in set(asked) if oid in entered and self.blobs.size(oid) == entered[oid]}

    def content(self, repo: Repository, commit: str, path: str) -> Content:
        """The file `path` at `commit`. Raises Problem 404 where there is none, or its large file is lost."""
        row, data = _read(repo, commit, path)
        return _plain(row, data) if row.sha256 is None else self._linked(repo, row, row.sha256)

    def blob(self, repo: Repository, sha256: str) -> Content:
        """A large file that `repo` has a right to. Raises Problem 404 where it is not here."""
        size = self.blobs.size(sha256)
        if size is None:
            raise missing(sha256)
        return Content(sha256, size, partial(self.blobs.read, sha256), large=True)

    def pushed(self, sha256: str) -> float:
        """When it came last, to whatever repository: seconds since 1970; 0.0 where it is lost."""
        try:
            return self.blobs.modified(sha256)
        except Problem:
            return 0.0

    def keep(self, repo: Repository, path: Path, sha256: str, size: int) -> None:
        """Put the checked file `path` into the store, and enter it in the ledger of `repo`.

        Meanwhile `glasshouse serve --collect` takes none away. Raises Problem 403 beyond the quota.
        """
        owner = repo.name.owner
        with self.unchanging():
            self.quota.check(owner, size)
            with self.alone(sha256):
                self.blobs.put(path, sha256, size)
            more = 0 if sha256 in repo.contents.read() else size
            with self.quota.spending(owner, more), repo.lock(patient=True):
                repo.contents.append({sha256: size}, again=True)

    def share(self, source: Repository, target: Repository, asked: Iterable[str]) -> set[str]:
        """Give `target` a right to those that `source` has of the ones asked for, too; which they are.

        Raises Problem 403 beyond the quota.
        """
        with self.unchanging():
            found = self.here(source, asked)
            known = target.contents.read()
            more = sum(size for oid, size in found.items() if oid not in known)
            with self.quota.spending(target.name.owner, more), target.lock(patient=True):
                target.contents.append(found, again=True)
        return set(found)

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """Within, none is taken away: around what moves rows of a ledger to where `--collect` has looked already."""
        with locked(self.root / COLLECT_LOCK, shared=True):
            yield

    @contextmanager
    def staying(self, repo: Repository, asked: Mapping[str, int]) -> Iterator[None]:
        """Around what makes a commit of `repo` that names those large files: none is taken away meanwhile.

        Raises Problem 400 for one that was, since the commit was read.
        """
        with self.unchanging():
            if lost := sorted(asked.keys() - self.here(repo, asked).keys()):
                raise Problem(400, f"LFS pointer pointed to a file that does not exist: sha256:{lost[0]}")
            yield

    def join(self, repo: Repository, upload_id: str, parts: int, sha256: str, size: int) -> None:
        """Keep the file whose parts have all come; harmless where that was done before. Raises as `Uploads.joined`."""
        with self.uploads.joined(upload_id, parts, sha256, size) as path:
            if path is not None:
                self.keep(repo, path, sha256, size)
            elif repo.contents.blobs().get(sha256) != size:
                raise Problem(400, f"none of the {parts} parts has come")

    @contextmanager
    def alone(self, sha256: str) -> Iterator[None]:
        """Nobody else puts that blob meanwhile: one that fails takes away what it began, and no other's."""
        (folder := self.root / PUTTING).mkdir(exist_ok=True)
        with locked(folder / f"{sha256[:3]}.lock"):
            yield

    def _linked(self, repo: Repository, row: TreeRow, sha256: str) -> Content:
        """The large file that `row` points to, should the repository have a right to it."""
        size = self.blobs.size(sha256) if sha256 in repo.contents.read() else None
        if size is None:
            raise Problem(404, f"the content of {row.path} is lost", ENTRY_NOT_FOUND)
        return Content(sha256, size, partial(self.blobs.read, sha256), large=True)


def read_all(content: Content, start: int, end: int) -> bytes:
    """The bytes from `start` up to `end`, once all have come."""
    found = bytearray()
    for chunk in content.read(start, end):
        found += chunk
        if not chunk:
            time.sleep(PAUSE)
    return bytes(found)


def in_git(repo: Repository, commit: str, path: str) -> Content:
    """The file `path` at `commit` as it stands in git: the pointer of a large one. Raises Problem 404 for none."""
    return _plain(*_read(repo, commit, path))


def _read(repo: Repository, commit: str, path: str) -> tuple[TreeRow, bytes]:
    found = objects.read_file(repo.folder, commit, path)
    if found is None:
        raise Problem(404, f"{path} is not at {commit}", ENTRY_NOT_FOUND)
    return found


def _plain(row: TreeRow, data: bytes) -> Content:
    """A file that stands in git. What is long waits on the disk for who takes it slowly, where that has room."""
    read: Read = partial(_pieces, data)
    with suppress(OSError):
        read = _Spool(data).read if len(data) > CHUNK else read
    return Content(row.oid, len(data), read, large=False)


def _pieces(data: bytes, start: int, end: int) -> Iterator[bytes]:
    return (data[place : min(place + CHUNK, end)] for place in range(start, end, CHUNK))


class _Spool:
    """Bytes in a file without a name, which goes with this."""

    _descriptor: int | None = None

    def __init__(self, data: bytes) -> None:
        with TemporaryFile(buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            self._descriptor = os.dup(file.fileno())

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """See Read."""
        assert self._descriptor is not None
        while start < end and (chunk := os.pread(self._descriptor, min(CHUNK, end - start), start)):
            start += len(chunk)
            yield chunk
