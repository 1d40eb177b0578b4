"""Large files on their way in: a local folder, whatever store they go to.

Laws: what is here is nobody's yet; an upload that dies leaves its file here, which `collect` takes away; nothing leaves
for the store before all of it has been hashed, nor while anybody can still write to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from registry.digest import sha256_file
from registry.server.locks import take
from registry.server.problems import Problem, busy

MAX_OPEN = 1024
MAX_EACH = 128
"""Uploads under way of one user."""
MAX_PARTS = 10_000
PACKED = "xet-"
"""How the folders of packed xorbs begin, one for each token."""
_DATA = "data"
GIVEN_UP_SECONDS = 60.0
"""How long an upload lies idle until another one of the same file takes its place."""
JOIN_SECONDS = 20.0
"""How long a file waits for those of its parts that are sent once more."""
_BLOCK = 512
"""Bytes that `st_blocks` counts in."""
_SENDING = "sending-"
"""How the names of those files begin that stand for a part on its way."""


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a file from `offset` on, `size` of them, that travel by themselves. number: from 1 on."""

    number: int
    offset: int
    size: int


def parts(size: int, each: int) -> list[Part]:
    """The parts of `each` bytes, the last one maybe fewer, of a file. Raises Problem 413 for too many."""
    count = -(-size // each)
    if count > MAX_PARTS:
        raise Problem(413, f"an object of more than {MAX_PARTS} parts of {each} bytes")
    return [Part(number + 1, number * each, min(each, size - number * each)) for number in range(count)]


class Upload:
    """Bytes on their way into a file. hashed: whether their SHA-256 is taken as they come."""

    def __init__(self, path: Path, limit: int, offset: int = 0, *, hashed: bool = True) -> None:
        self.path = path
        self.size = 0
        self._limit = limit
        self._offset = offset
        self._digest = hashlib.sha256() if hashed else None
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def write(self, chunk: bytes) -> None:
        """Add `chunk`. Raises Problem 413 beyond the announced size."""
        if self.size + len(chunk) > self._limit:
            raise Problem(413, f"more than the {self._limit} bytes that were announced")
        if self._digest is not None:
            self._digest.update(chunk)
        view = memoryview(chunk)
        while view:
            written = os.pwrite(self._descriptor, view, self._offset + self.size)
            self.size += written
            view = view[written:]

    def share(self) -> bool:
        """Keep the file from being joined until `close`; False where it is just being joined, or was."""
        try:
            take(self._descriptor, fcntl.LOCK_SH, 0)
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except (TimeoutError, FileNotFoundError):
            return False

    def finish(self, sha256: str, size: int) -> None:
        """Flush to the disk. Raises Problem 422 unless what came has that digest and size."""
        os.fsync(self._descriptor)
        assert self._digest is not None
        _check(self._digest.hexdigest(), self.size, sha256, size)

    def close(self) -> None:
        """Let go of the file, finished or not."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Uploads:
    """The folder of uploads under way, of all workers: at most `most` at once, and `each` of one user.

    The name of each begins with the mark of whose it is.
    """

    def __init__(self, folder: Path, most: int = MAX_OPEN, each: int = MAX_EACH) -> None:
        self._folder = folder
        self._most = most
        self._each = each
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def one(self, limit: int, mark: str) -> Iterator[Upload]:
        """A place for at most `limit` bytes; gone at the end of the block, unless its file was moved away.

        mark: whose it is.  Raises Problem 429 where too many are under way.
        """
        self._refuse_too_many(mark)
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=f"{mark}-")
        os.close(descriptor)
        upload = Upload(Path(name), limit)
        try:
            yield upload
        finally:
            upload.close()
            upload.path.unlink(missing_ok=True)

    @contextmanager
    def part(self, upload_id: str, number: int, offset: int, size: int) -> Iterator[Upload]:
        """A place for part `number` of a file, of `size` bytes at `offset`; a part sent again replaces the first.

        It counts once the block ends well. A part that does not, alone, leaves nothing of the upload.
        upload_id: from `new_id`.  Raises Problem 422 where fewer bytes came, 503 while it is joined, 429 as `one`.
        """
        folder = self._folder / upload_id
        if not folder.exists():
            self._drop_given_up(upload_id)
            self._refuse_too_many(upload_id.partition("-")[0])
            folder.mkdir(exist_ok=True)
        sending = folder / f"{_SENDING}{secrets.token_hex(8)}"
        try:
            sending.touch()
            upload = Upload(folder / _DATA, size, offset, hashed=False)
            try:
                if not upload.share():
                    raise busy("this upload")
                yield upload
            finally:
                upload.close()
            if upload.size != size:
                raise Problem(422, f"announced {size} bytes, got {upload.size}")
            (folder / f"part-{number}").touch()
        except FileNotFoundError as problem:
            raise busy("this upload") from problem  # another part of it was refused, and took the folder along
        finally:
            sending.unlink(missing_ok=True)
            _drop_if_empty(folder)

    @contextmanager
    def joined(self, upload_id: str, parts: int, sha256: str, size: int) -> Iterator[Path | None]:
        """The file whose parts have all come, hashed and flushed; gone at the end of a block that ends well.

        None where there is no such upload, or no more: it was joined before, and the answer was lost. Raises Problem
        400 if a part is missing, 422 if the whole is not `sha256`, 503 where a part is still on its way.
        """
        folder = self._folder / upload_id
        try:
            descriptor = os.open(folder / _DATA, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        try:
            try:
                take(descriptor, fcntl.LOCK_EX, JOIN_SECONDS)
            except TimeoutError as problem:
                raise busy("this upload") from problem
            if not (folder / _DATA).exists():  # somebody else has joined it meanwhile
                yield None
                return
            if not all((folder / f"part-{number}").exists() for number in range(1, parts + 1)):
                raise Problem(400, f"not all of the {parts} parts have come")
            os.fsync(descriptor)
            try:
                _check(sha256_file(folder / _DATA), os.fstat(descriptor).st_size, sha256, size)
            except Problem:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            yield folder / _DATA
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)

    def coming(self, upload_id: str) -> int:
        """Bytes that lie here of other uploads in parts to the namespace of `upload_id`."""
        self._drop_given_up(upload_id)
        total, owner = 0, upload_id.split("-")[1:2]
        for item in os.scandir(self._folder):
            if item.name != upload_id and item.name.split("-")[1:2] == owner:
                with suppress(FileNotFoundError, NotADirectoryError):
                    total += (Path(item.path) / _DATA).stat().st_blocks * _BLOCK
        return total

    def _drop_given_up(self, upload_id: str) -> None:
        """Remove uploads of the same file by the same user to which nothing has come for a while: this is the next."""
        for folder in self._folder.glob(f"{upload_id.rpartition('-')[0]}-*"):
            sending = any(item.name.startswith(_SENDING) for item in folder.iterdir())
            if not sending and _touched(folder) < time.time() - GIVEN_UP_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def open(self) -> int:
        """How many uploads are under way, or lie about; what waits for a Xet shard is not counted."""
        return sum(1 for item in os.scandir(self._folder) if not item.name.startswith(PACKED))

    def collect(self, older_than: float) -> int:
        """Remove uploads that have not been touched for `older_than` seconds; how many there were."""
        stale = [item for item in self._folder.iterdir() if _touched(item) < time.time() - older_than]
        for item in stale:
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)
        return len(stale)

    def _refuse_too_many(self, mark: str) -> None:
        theirs = sum(1 for item in os.scandir(self._folder) if item.name.startswith(f"{mark}-"))
        if theirs >= self._each or self.open() >= self._most:
            whose = "of yours " if theirs >= self._each else ""
            raise Problem(429, f"too many uploads {whose}are under way", headers={"Retry-After": "10"})


def mark_of(user: str) -> str:
    """What the names of a user's uploads begin with."""
    return hashlib.sha256(user.encode()).hexdigest()[:12]


def new_id(user: str, owner: str, sha256: str) -> str:
    """The name of a new upload in parts, of a file for the namespace `owner`, by `user`. It is not guessed."""
    return f"{mark_of(user)}-{mark_of(owner)}-{sha256[:12]}-{secrets.token_hex(16)}"


def _drop_if_empty(folder: Path) -> None:
    """Remove an upload of which no part has come and none is coming."""
    with suppress(FileNotFoundError):
        if {item.name for item in folder.iterdir()} <= {_DATA}:
            shutil.rmtree(folder, ignore_errors=True)


def _touched(item: Path) -> float:
    """When an upload last got a byte, seconds since 1970; now, for one that has just gone."""
    times = []
    with suppress(FileNotFoundError, NotADirectoryError):
        times.append(item.stat().st_mtime)
        times.append((item / _DATA).stat().st_mtime)
    return max(times, default=time.time())


def _check(found: str, came: int, sha256: str, size: int) -> None:
    if (found, came) != (sha256, size):
        raise Problem(422, f"announced {size} bytes of sha256:{sha256}, got {came} of sha256:{found}")
