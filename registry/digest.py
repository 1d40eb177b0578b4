"""SHA-256 and BLAKE3 of bytes and of files, many files at once.

SHA-256 is what every other tool speaks; BLAKE3 is what several cores can compute inside one file. Memory stays flat: a
file is read in chunks, once, whichever digests are asked for, and both libraries let go of the interpreter lock while
they hash, so threads are enough to keep several cores busy.
Source: FIPS 180-4; the BLAKE3 paper, section 2.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from blake3 import blake3

from registry.parallel import for_each

CHUNK = 1 << 20
"""Bytes read at a time of a small file. Measured: SHA-256 is as fast from 64 KiB up."""
AHEAD = 2 << 20
"""Bytes read at a time of a larger one, while those before them are hashed. Measured with BLAKE3 on two cores: half the
time of reading and hashing by turns; 1 MiB and 8 MiB are slower."""

BATCH = 64
"""Small files that a thread is handed at a time. Measured with 1,000 of 4 KiB on two cores: twice the CPU by ones."""

T = TypeVar("T")
R = TypeVar("R")

Algorithm = Literal["sha256", "blake3"]
BOTH: frozenset[Algorithm] = frozenset(("sha256", "blake3"))

SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")

Progress = Callable[[int], None]
"""Called with the number of bytes just done."""


@dataclass(frozen=True, slots=True)
class Digests:
    """What was measured of one file."""

    sha256: str | None = None
    """64 lowercase hex characters; None where it was not measured."""
    blake3: str | None = None
    """64 lowercase hex characters; None where it was not measured."""


def is_sha256(text: object) -> bool:
    """Whether `text` is 64 lowercase hex characters (as a BLAKE3 digest is, too)."""
    return isinstance(text, str) and SHA256_PATTERN.fullmatch(text) is not None


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of `data`, as 64 lowercase hex characters."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path, progress: Progress | None = None) -> str:
    """The SHA-256 of the bytes of `path`, as 64 lowercase hex characters.

    A symbolic link is not followed. Raises OSError where the file cannot be read or is a link.
    """
    return _hashed(path, progress).sha256


def sha256_files(paths: Iterable[Path], progress: Progress | None = None, workers: int | None = None) -> list[str]:
    """The SHA-256 of each of `paths`, in their order, hashed by `workers` threads (default: one per core)."""
    return _each(sha256_file, paths, _size, progress, workers)


class Hashed(NamedTuple):
    """A file that was read to its end."""

    sha256: str
    """64 lowercase hex characters."""
    found: os.stat_result
    """What the system said then of the file that was read, whatever its name led to meanwhile."""


def hash_files(files: Iterable[tuple[str, int]], progress: Progress | None = None) -> list[Hashed]:
    """`sha256_files` of paths and their sizes, by which the work is shared out; and what was read."""
    return _each(lambda file, told: _hashed(file[0], told), files, lambda file: file[1], progress, None)


def _hashed(path: Path | str, progress: Progress | None) -> Hashed:
    digest = hashlib.sha256()
    with _opened(path) as stream:
        for piece in _pieces(stream, os.fstat(stream.fileno()).st_size):
            digest.update(piece)
            if progress is not None:
                progress(len(piece))
        return Hashed(digest.hexdigest(), os.fstat(stream.fileno()))


def measure(path: Path, algorithms: frozenset[Algorithm] = BOTH, progress: Progress | None = None) -> Digests:
    """The digests of the bytes of `path` by `algorithms`; the file is read once.

    A symbolic link is not followed. Raises OSError where the file cannot be read or is a link. By no algorithm, nothing
    is read.
    """
    if not algorithms:
        return Digests()
    with _opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        sha = hashlib.sha256() if "sha256" in algorithms else None
        blake = blake3(max_threads=blake3.AUTO if size >= CHUNK else 1) if "blake3" in algorithms else None
        for piece in _pieces(stream, size):
            if sha is not None:
                sha.update(piece)
            if blake is not None:
                blake.update(piece)
            if progress is not None:
                progress(len(piece))
    return Digests(sha.hexdigest() if sha else None, blake.hexdigest() if blake else None)


def _opened(path: Path | str) -> io.FileIO:
    """The file at `path`, to be read; a link is not followed."""
    return io.FileIO(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | getattr(os, "O_CLOEXEC", 0)))


def _pieces(stream: io.FileIO, size: int) -> Iterator[memoryview]:
    """The bytes of `stream`, of some `size` bytes, to its end. A piece is gone when the next one is asked for.

    A large file is read by a thread, one piece ahead.
    """
    if size <= AHEAD:
        buffer = memoryview(bytearray(min(CHUNK, size + 1)))  # + 1: never empty
        while count := stream.readinto(buffer):
            yield buffer[:count]
        return
    now, ahead = memoryview(bytearray(AHEAD)), memoryview(bytearray(AHEAD))
    with ThreadPoolExecutor(1) as reader:
        count = stream.readinto(now)
        while count:
            coming = reader.submit(stream.readinto, ahead)
            yield now[:count]
            count, now, ahead = coming.result(), ahead, now


def measure_files(
    files: Iterable[tuple[Path, frozenset[Algorithm]]], progress: Progress | None = None, workers: int | None = None
) -> list[Digests]:
    """`measure` of each of `files`, in their order, by `workers` threads (default: one per core)."""
    return _each(
        lambda file, told: measure(file[0], file[1], told), files, lambda file: _size(file[0]), progress, workers
    )


def _each(
    work: Callable[[T, Progress], R],
    items: Iterable[T],
    size: Callable[[T], int],
    progress: Progress | None,
    workers: int | None,
) -> list[R]:
    """`work` of each of `items`, by threads: small files many at a time, for handing one over costs more than it."""
    batches = list(_batches(items, size))
    done = for_each(lambda batch, told: [work(item, told) for item in batch], batches, progress, workers)
    return [result for results in done for result in results]


def _batches(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """`items`, in their order, in runs of at most BATCH files and about CHUNK bytes."""
    batch: list[T] = []
    room = CHUNK
    for item in items:
        more = size(item)
        if batch and (more > room or len(batch) == BATCH):
            yield batch
            batch, room = [], CHUNK
        batch.append(item)
        room -= more
    if batch:
        yield batch


def _size(path: Path) -> int:
    """Bytes of the file at `path`, not followed; 0 where there is none: whoever reads it says so."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
