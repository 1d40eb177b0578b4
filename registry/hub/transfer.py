"""Bringing files from a Hub to this machine: bounded before it starts, hashed as it comes, plain files only."""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.digest import CHUNK, Progress
from registry.errors import InputError, Malformed, Unavailable, VerificationError
from registry.files import directory_beside
from registry.manifest import Entry, Manifest, check_path, twins
from registry.parallel import for_each

MAX_FILES = 100_000
MAX_BYTES = 16 << 40
WORKERS = 4
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as a Hub lists it at one commit.

    path: as the Hub says it; not checked yet.  size: bytes.  sha256: of a large file, None for one that stands in git.
    git_oid: SHA-1 of git's blob (for a large file: of its pointer).
    """

    path: str
    size: int
    sha256: str | None
    git_oid: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a download may be: files, and bytes of all of them together."""

    files: int = MAX_FILES
    size: int = MAX_BYTES


class Silent(Unavailable):
    """A Hub took a question, and sent nothing, or next to nothing, for as long as one waits."""


class Opener(Protocol):
    """Opens a file of one commit from byte `offset` on; yields (the offset it really starts at, its chunks)."""

    def __call__(self, path: str, offset: int) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """Raises Unavailable where the connection breaks, then or while the chunks come; Silent where nothing comes."""
        ...


def check_listing(files: Sequence[RemoteFile], limits: Limits) -> None:
    """Refuse a listing that must not be written to a disk: before a byte of it is fetched.

    Raises Malformed for a path that could leave the folder, two paths that are one on some disks (or a file that is
    also a folder); InputError for more than `limits`.
    """
    total = sum(file.size for file in files)
    if len(files) > limits.files or total > limits.size:
        raise InputError(
            f"the Hub lists {len(files)} files of {total} bytes, more than the {limits.files} files"
            f" or {limits.size} bytes that are allowed",
            mend="check that this is the repository you mean",
        )
    for file in files:
        check_path(file.path)
    if clash := twins(file.path for file in files):
        raise Malformed(
            f"the Hub lists paths that cannot stand side by side: {', '.join(clash[:5])}",
            mend="do not use this repository",
        )
    if any(file.size < 0 for file in files):
        raise Malformed("the Hub lists a file of less than no bytes", mend="do not use this repository")


def download(
    source: Opener,
    files: Sequence[RemoteFile],
    folder: Path,
    progress: Progress | None = None,
    accept: Callable[[Path, Manifest], object] | None = None,
) -> Manifest:
    """Fetch `files`, WORKERS at a time, into `folder`, which appears at the end and holds nothing else.

    The manifest is of the bytes that came; whether they are the right ones is for the caller to say.
    accept: looks at all of it where it lies, and at what came, before it appears; what it raises lets nothing appear.
    Raises InputError where `folder` is there and not empty; VerificationError for a file longer than was listed;
    Unavailable for one that ends early, after ATTEMPTS, and where the disk has no room for what is listed, or fills.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise InputError(f"{folder} is there already", mend="give a new or an empty directory")
    with _room(folder, sum(file.size for file in files)), directory_beside(folder) as beside:
        for file in files:
            (beside / file.path).parent.mkdir(parents=True, exist_ok=True)
        came = for_each(lambda file, told: _file(source, file, beside / file.path, told), files, progress, WORKERS)
        if accept is not None:
            accept(beside, Manifest(tuple(came)))
        return Manifest(tuple(came))


def read(source: Opener, file: RemoteFile, receive: Callable[[bytes], object]) -> Entry:
    """Hand every byte of `file` to `receive`, going on where a connection broke; what came, hashed.

    Raises as `download` does; Silent, without another attempt, for a connection that brought nothing.
    """
    digest = hashlib.sha256()
    size = 0
    for attempt in range(1, ATTEMPTS + 1):
        before = size
        try:
            with source(file.path, size) as (start, chunks):
                if start != size:  # the server does not know ranges: pass over what is here already
                    chunks = _skip(chunks, size - start)
                for chunk in chunks:
                    size += len(chunk)
                    if size > file.size:
                        raise VerificationError(
                            f"{file.path}: the Hub sends more than the {file.size} bytes it lists",
                            mend="do not use this repository",
                        )
                    digest.update(chunk)
                    receive(chunk)
            if size == file.size:
                return Entry(file.path, size, digest.hexdigest())
        except Unavailable as problem:
            if attempt == ATTEMPTS or (isinstance(problem, Silent) and size == before):
                raise
        time.sleep(0.1 * 2**attempt)
    raise Unavailable(f"{file.path}: {size} of {file.size} bytes came", mend="try again")


def git_blob_oid(path: Path, size: int) -> str:
    """Git's name for the bytes of `path`: SHA-1 of `blob SIZE\\0` and the bytes. An address, no proof."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def is_file(listed: RemoteFile, folder: Path, entry: Entry) -> bool:
    """Whether a listed file is the one that `entry` names in `folder`: by SHA-256, or git's SHA-1 of a small one."""
    if listed.size != entry.size:
        return False
    if listed.sha256 is not None:
        return listed.sha256 == entry.sha256
    return listed.git_oid == git_blob_oid(folder / entry.path, entry.size)


def is_folder(files: Sequence[RemoteFile], folder: Path, manifest: Manifest) -> bool:
    """Whether a listing is of exactly the files of `manifest`, which lie in `folder`."""
    want = manifest.by_path()
    return {file.path for file in files} == want.keys() and all(
        is_file(file, folder, want[file.path]) for file in files
    )


@contextmanager
def _room(folder: Path, size: int) -> Iterator[None]:
    """Around the writing of `size` bytes into `folder`: Unavailable where its disk has not that much, or fills."""
    full = "make room there, or name a place on a larger disk (TMPDIR, where none is named)"
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    disk = shutil.disk_usage(there)
    if disk.total and size > disk.free:  # some disks tell neither
        raise Unavailable(f"{size} bytes are listed, and the disk of {there} has room for {disk.free}", mend=full)
    try:
        yield
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise Unavailable(f"{folder} cannot be written: {problem.strerror}", mend=full) from problem


def _file(source: Opener, file: RemoteFile, place: Path, progress: Progress) -> Entry:
    with place.open("xb") as stream:

        def receive(chunk: bytes) -> None:
            stream.write(chunk)
            progress(len(chunk))

        return read(source, file, receive)


def _skip(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    for chunk in chunks:
        rest, count = chunk[count:], max(0, count - len(chunk))
        if rest:
            yield rest
