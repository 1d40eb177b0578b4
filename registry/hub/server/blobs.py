"""Large files by their SHA-256.

Laws: a blob that is there is whole, flushed to the disk, and has the digest of its name; writing the same blob twice
is harmless. An upload that dies leaves a file in `uploads/`, which `collect` takes away.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.digest import CHUNK, is_sha256
from registry.files import sync_directory
from registry.hub.server.problems import Problem

MAX_OPEN = 1024


class Upload:
    """One blob, or one part of it, on its way in."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.size = 0
        self._limit = limit
        self._digest = hashlib.sha256()
        self._stream = path.open("wb")

    def write(self, chunk: bytes) -> None:
        """Add `chunk`. Raises Problem 413 beyond the announced size."""
        self.size += len(chunk)
        if self.size > self._limit:
            raise Problem(413, f"more than the {self._limit} bytes that were announced")
        self._digest.update(chunk)
        self._stream.write(chunk)

    def finish(self) -> str:
        """Flush to the disk; the SHA-256 of what came."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._stream.close()


class BlobStore:
    """A folder of blobs, `sha256/ab/cd/abcd…`, and a folder of uploads under way."""

    def __init__(self, root: Path, most: int = MAX_OPEN) -> None:
        """most: uploads that may be under way at once, of all workers."""
        self._most = most
        self._blobs = root / "sha256"
        self._uploads = root / "uploads"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._uploads.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the blob of that digest is, or would be. Raises Problem 422 for what is no SHA-256."""
        if not is_sha256(sha256):
            raise Problem(422, "an object id is 64 lowercase hex characters")
        return self._blobs / sha256[:2] / sha256[2:4] / sha256

    def size(self, sha256: str) -> int | None:
        """Bytes of that blob, or None where it is not here."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    @contextmanager
    def upload(self, limit: int) -> Iterator[Upload]:
        """A place for at most `limit` bytes on their way in; gone at the end of the block unless adopted or kept.

        Raises Problem 429 where too many are under way.
        """
        if self.open_uploads() >= self._most:
            raise Problem(429, "too many uploads are under way", headers={"Retry-After": "10"})
        descriptor, name = tempfile.mkstemp(dir=self._uploads)
        os.close(descriptor)
        upload = Upload(Path(name), limit)
        try:
            yield upload
        finally:
            upload.close()
            upload.path.unlink(missing_ok=True)

    def adopt(self, upload: Upload, sha256: str, size: int) -> None:
        """Put a whole blob in its place. Raises Problem 422 unless it has that digest and size."""
        found = upload.finish()
        if found != sha256 or upload.size != size:
            raise Problem(422, f"announced {size} bytes of sha256:{sha256}, got {upload.size} of sha256:{found}")
        place = self.path(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        upload.path.chmod(0o444)
        upload.path.replace(place)
        for folder in (place.parent, place.parent.parent, self._blobs):
            sync_directory(folder)

    def keep_part(self, upload: Upload, upload_id: str, number: int) -> str:
        """Keep part `number` of a blob until `assemble`; a part sent again replaces the first. Its SHA-256."""
        sha256 = upload.finish()
        folder = self._uploads / upload_id
        folder.mkdir(exist_ok=True)
        upload.path.replace(folder / f"part-{number}")
        return sha256

    def assemble(self, upload_id: str, sha256: str, size: int, parts: int) -> None:
        """Join the parts 1 to `parts`. Raises Problem 400 if one is missing, 422 if the whole is not `sha256`."""
        folder = self._uploads / upload_id
        paths = [folder / f"part-{number}" for number in range(1, parts + 1)]
        if self.size(sha256) == size and not folder.exists():
            return  # the answer to an earlier request was lost, and the client asks again
        if not all(path.is_file() for path in paths):
            raise Problem(400, f"not all of the {parts} parts have come")
        with self.upload(size) as upload:
            for path in paths:
                with path.open("rb") as stream:
                    while chunk := stream.read(CHUNK):
                        upload.write(chunk)
            shutil.rmtree(folder, ignore_errors=True)
            self.adopt(upload, sha256, size)

    def open_uploads(self) -> int:
        """How many uploads are under way, or lie about."""
        return sum(1 for _ in os.scandir(self._uploads))

    def all(self) -> Iterator[Path]:
        """Every blob."""
        return self._blobs.glob("??/??/*")

    def collect(self, older_than: float) -> int:
        """Remove uploads that have not been touched for `older_than` seconds; how many there were."""
        stale = [item for item in self._uploads.iterdir() if item.stat().st_mtime < time.time() - older_than]
        for item in stale:
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)
        return len(stale)
