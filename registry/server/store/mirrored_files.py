"""The large files of another Hub's repositories: each fetched when it is first asked for, once, and kept by its digest.

Laws: what is kept has the SHA-256 that the pointer in git says, and so the commit. What is on the way is passed on as
it comes, but for its last byte, which waits for the digest: a wrong file never arrives whole. All that is kept fits
into the bound; what was asked for longest ago goes first.

One process fetches a file, under a lock; all others, of whatever worker, read what has come so far.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from registry.digest import CHUNK
from registry.errors import Unavailable
from registry.hub.client.upstream import Upstream
from registry.server.locks import locked
from registry.server.problems import Problem, busy
from registry.server.store.blobs import missing, shard
from registry.server.store.holdings import folders
from registry.server.store.large_files import PAUSE, Content, LargeFiles
from registry.server.store.objects import TreeRow
from registry.server.store.places import BLOBS, COMING, REPOSITORIES
from registry.server.store.repository import UPSTREAM, Repository

AT_ONCE = 8
"""Files that one worker fetches at once; whoever asks for one more is told to come again."""
ATTEMPTS = 3
FIRST_BYTES = 3.0
"""Seconds that a request waits for the first of them; after that they come whenever they come."""
RESERVE = 1 << 30
"""Bytes of the disk that a mirror leaves to others."""
_FETCHERS = ThreadPoolExecutor(AT_ONCE, "mirror-file")
_UNDER_WAY: dict[Path, Future[None]] = {}


@dataclass(frozen=True, slots=True)
class MirroredFiles(LargeFiles):
    """Those that a mirror keeps, in the folder `root`."""

    upstream: Upstream = field(kw_only=True)
    """Where they are from."""
    most: int | None = field(kw_only=True)
    """Bytes of all that is kept; None for as much as the disk has."""

    def here(self, repo: Repository, asked: Iterable[str]) -> dict[str, int]:
        """{sha256: bytes} of those asked for that the repository names, whether they have come or not."""
        entered = repo.contents.blobs()
        return {oid: entered[oid] for oid in asked if oid in entered}

    def blob(self, repo: Repository, sha256: str) -> Content:
        """A large file that `repo` names. Raises Problem 404 for any other.

        Its bytes come as they are fetched; who begins to read them gets Problem 503 where they cannot be had now, and
        403 where they do not fit.
        """
        size = repo.contents.blobs().get(sha256)
        if size is None:
            raise missing(sha256)
        if self.blobs.size(sha256) == size:
            with suppress(FileNotFoundError):
                os.utime(self.root / BLOBS / shard(sha256))  # it is wanted
            return Content(sha256, size, partial(self.blobs.read, sha256), large=True)
        coming = _Coming(self, repo, sha256, size, self.root / COMING / f"{sha256}-{size}")
        return Content(sha256, size, coming.read, large=True)

    def _linked(self, repo: Repository, row: TreeRow, sha256: str) -> Content:
        return self.blob(repo, sha256)

    def make_room(self, more: int = 0) -> None:
        """Let go of what was wanted longest ago, until all fits. more: bytes that are still to come.

        Raises Problem 503 where it never will.
        """
        with locked(self.root / "room.lock"):
            kept = sorted(_kept(self.root))
            total = sum(size for _, size, _ in kept)
            for _, size, path in kept:
                if not self._is_full(total, more):
                    return
                if _let_go(path):
                    total -= size
            if self._is_full(total, more):
                raise busy("the mirror's disk")

    def _is_full(self, total: int, more: int) -> bool:
        return (self.most is not None and total > self.most) or self.quota.free < more + RESERVE


@dataclass(frozen=True, slots=True)
class _Coming:
    """A file on its way. place: what has come of it; whoever fetches it holds that file's lock."""

    files: MirroredFiles
    repo: Repository
    sha256: str
    size: int
    place: Path

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """See Content. Raises Problem 503 and 403 at once, where that shows at once."""
        if not self._begin():
            return self._chunks(start, end)  # somebody else waits for the first bytes
        until = time.monotonic() + FIRST_BYTES
        while not self._came() and _is_held(self.place) and time.monotonic() < until:
            time.sleep(PAUSE)
        if not self._came() and not _is_held(self.place) and not self._is_kept():
            raise self._lost()
        return self._chunks(start, end)

    def _chunks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes as they come. Raises Problem 503 where they end early, or what came before was wrong."""
        begun, seen = 1, None
        with ExitStack() as stack:
            while start < end:
                held, kept = _is_held(self.place), self._is_kept()  # in this order: what is let go of is kept already
                place = self.files.root / BLOBS / shard(self.sha256) if kept else self.place
                with suppress(FileNotFoundError), place.open("rb") as stream:
                    file = os.fstat(stream.fileno()).st_ino
                    if seen not in (None, file):
                        raise self._lost()  # another attempt, for that one was wrong
                    stream.seek(start)
                    chunk = stream.read(max(0, min(CHUNK, end - start, self.size - (not kept) - start)))
                    if chunk:
                        if seen is None:  # held open, so that no other attempt gets its number
                            stack.callback(os.close, os.dup(stream.fileno()))
                        start, seen = start + len(chunk), file
                        yield chunk
                        continue
                if held:
                    yield b""
                elif not kept and begun < ATTEMPTS:
                    self._begin()
                    begun += 1
                else:
                    raise self._lost()

    def _begin(self) -> bool:
        """Have it fetched; False where somebody is at it. Raises Problem 503 for too many, 403 for too large a file."""
        if _is_held(self.place):
            return False
        if self.files.most is not None and self.size > self.files.most:
            raise Problem(403, f"this mirror keeps {self.files.most} bytes, and that file has {self.size}")
        for path in [path for path, each in list(_UNDER_WAY.items()) if each.done()]:
            _UNDER_WAY.pop(path, None)
        if len(_UNDER_WAY) >= AT_ONCE:
            raise busy("the mirror")
        _UNDER_WAY[self.place] = _FETCHERS.submit(self._fetch)
        return True

    def _fetch(self) -> None:
        """Fetch it, check it, keep it; nothing, where another process is at it, or has done it."""
        with suppress(TimeoutError), locked(self.place, seconds=0):
            if self._is_kept():
                return self.place.unlink(missing_ok=True)
            self.files.make_room(self.size)
            for attempt in range(ATTEMPTS):
                time.sleep(0.3 * attempt)
                try:
                    if self._bring():
                        return self.files.blobs.put(self.place, self.sha256, self.size)
                    return self.place.unlink()  # what is read of it meanwhile ends here
                except Unavailable:
                    if attempt == ATTEMPTS - 1:
                        raise

    def _bring(self) -> bool:
        """Go on with what has come; whether the whole has its digest."""
        digest, came = hashlib.sha256(), 0
        with self.place.open("rb+") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                came += len(chunk)
            if came < self.size:
                name = self.repo.name
                for chunk in self.files.upstream.file(name.kind, str(name), self.sha256, self.size, came):
                    stream.write(chunk)
                    stream.flush()
                    digest.update(chunk)
                    came += len(chunk)
            os.fsync(stream.fileno())
        if came < self.size:
            raise Unavailable(f"{came} of {self.size} bytes came", mend="try again")
        return digest.hexdigest() == self.sha256

    def _came(self) -> bool:
        """Whether some of it has come."""
        with suppress(FileNotFoundError):
            return self.place.stat().st_size > 0
        return False

    def _is_kept(self) -> bool:
        return self.files.blobs.size(self.sha256) == self.size

    def _lost(self) -> Problem:
        words = f"{self.repo.upstream} does not give sha256:{self.sha256} now"
        return Problem(503, words, headers={"Retry-After": "10"})


def _is_held(place: Path) -> bool:
    """Whether somebody fetches it: this process, or another."""
    known = _UNDER_WAY.get(place)
    if known is not None and not known.done():
        return True
    if not place.exists():
        return False
    try:
        with locked(place, seconds=0):
            return False
    except TimeoutError:
        return True


def _kept(root: Path) -> Iterator[tuple[float, int, Path]]:
    """(when it was wanted last, bytes, where it is) of all that a mirror keeps; a file on its way counts as whole."""
    for path in (*(root / BLOBS / "sha256").glob("??/??/*"), *(root / COMING).glob("*-*")):
        with suppress(FileNotFoundError, ValueError):
            info = path.stat()
            yield info.st_mtime, int(path.name.partition("-")[2] or info.st_size), path
    for folder in folders(root / REPOSITORIES):
        with suppress(FileNotFoundError):
            size = sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())
            yield (folder / UPSTREAM).stat().st_mtime, size, folder


def _let_go(path: Path) -> bool:
    """Take away a file, or a repository; False for one that is just being fetched."""
    if path.is_dir():
        gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=path.parent))
        path.rename(gone / "repository")
        shutil.rmtree(gone, ignore_errors=True)
        return True
    if path.parent.name == COMING and _is_held(path):
        return False
    path.unlink(missing_ok=True)
    return True
