"""Files read within bounds, and written whole or not at all.

Reading: what cannot be read is InputError in one wording, whoever reads.

Writing: an interruption leaves the old file or the new one, never half of either. What is being written stands beside
its place, as `.NAME.glasshouse0`, locked by whoever writes it. A process that is killed leaves it there without the
lock; the next one that writes to the same place uses it, or removes it. Two that write at once have one each, numbered.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from registry.errors import InputError, Malformed
from registry.variables import XDG_CACHE_HOME

MAX_TEXT = 1 << 20
"""The largest text file that is read, unless the caller names another bound."""
CHECK = "check the path and its permissions"


def cache_folder() -> Path:
    """`glasshouse` in the user's folder of caches ($XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get(XDG_CACHE_HOME) or Path.home() / ".cache") / "glasshouse"


@contextmanager
def readable(path: Path, *, mend: str = CHECK) -> Iterator[None]:
    """Within: where the system does not let a file be read, InputError says which: the one it names, or `path`."""
    try:
        yield
    except OSError as problem:
        where, why = problem.filename or path, problem.strerror or problem
        raise InputError(f"{str(where)[:500]} cannot be read: {why}", mend=mend) from problem


def read_bytes(path: Path, max_bytes: int, *, mend: str = CHECK) -> bytes:
    """The bytes of the file at `path`.

    Raises InputError where it cannot be read, and Malformed where it has more than `max_bytes`, of which no more are
    read.
    """
    if "\0" in str(path):
        raise InputError(f"{str(path)[:500]!r} is not a path", mend=mend)
    with readable(path, mend=mend), path.open("rb") as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise Malformed(f"{path} has more than the {max_bytes} bytes allowed", mend=mend)
    return data


def read_text(path: Path, max_bytes: int = MAX_TEXT, *, mend: str = CHECK) -> str:
    """The text of the UTF-8 file at `path`. Raises as `read_bytes` does, and Malformed for other bytes."""
    try:
        return read_bytes(path, max_bytes, mend=mend).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Malformed(f"{path} is not UTF-8 text: {problem.reason} at byte {problem.start}", mend=mend) from problem


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write `data` beside `path`, flush it to the disk, and rename it into place. Parents are made.

    mode: who may read and write the file.
    """
    with _beside(path, directory=False) as (beside, descriptor):
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(data)
        os.fsync(descriptor)
        os.fchmod(descriptor, mode)
        beside.replace(path)
    sync_directory(path.parent)


@contextmanager
def directory_beside(path: Path) -> Iterator[Path]:
    """A new empty directory beside `path`, renamed to `path` when the block ends well, removed when it does not.

    An older directory at `path` gives way only at the end. What was written is flushed to the disk first.
    """
    with _beside(path, directory=True) as (beside, descriptor):
        yield beside
        os.fchmod(descriptor, 0o755)
        for folder, _, names in os.walk(beside):
            for name in names:
                with (Path(folder) / name).open("rb") as stream:
                    os.fsync(stream.fileno())
            sync_directory(Path(folder))
        old = path.with_name(f".{path.name}.glasshouse-old")
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        beside.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flush the names in `path` to the disk, so that a rename outlives a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _beside(path: Path, *, directory: bool) -> Iterator[tuple[Path, int]]:
    """An empty file or directory beside `path`, which nobody else writes to, and its descriptor.

    Removed when the block fails. What killed processes left for the same `path` is gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    places = (path.with_name(f".{path.name}.glasshouse{number}") for number in count())
    place, descriptor = next(
        (place, descriptor)
        for place in places
        if (descriptor := _lock(place, directory, made=_make(place, directory))) is not None
    )
    try:
        _empty(place, descriptor)
        for other in places:
            if not os.path.lexists(other):
                break
            _remove_left(other, directory)
        yield place, descriptor
    except BaseException:
        if _is_ours(place, descriptor):
            _remove(place)
        raise
    finally:
        os.close(descriptor)


def _make(place: Path, directory: bool) -> bool:
    """Whether there was nothing at `place`, and now is."""
    try:
        if directory:
            place.mkdir(mode=0o700)
        else:
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


def _lock(place: Path, directory: bool, made: bool) -> int | None:
    """A descriptor of what is at `place`, locked until it is closed; None where it is another's, or in use.

    made: by us, a moment ago. Where the disk knows no locks, that alone tells that nobody else uses it.
    """
    kind = os.O_RDONLY | os.O_DIRECTORY if directory else os.O_RDWR
    try:
        descriptor = os.open(place, kind | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None  # gone, or none that we write
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked = True
    except BlockingIOError:
        locked = False
    except OSError:
        locked = made
    if locked and _is_ours(place, descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _is_ours(place: Path, descriptor: int) -> bool:
    """Whether what was opened is this user's, is nothing but a file or a directory, and has not been renamed since."""
    opened = os.fstat(descriptor)
    try:
        found = place.lstat()
    except OSError:
        return False
    plain = stat.S_ISREG(opened.st_mode) or stat.S_ISDIR(opened.st_mode)
    return plain and os.path.samestat(opened, found) and opened.st_uid == os.geteuid()


def _remove_left(place: Path, directory: bool) -> None:
    if (descriptor := _lock(place, directory, made=False)) is not None:
        _remove(place)
        os.close(descriptor)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _empty(place: Path, descriptor: int) -> None:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.ftruncate(descriptor, 0)
    else:
        for child in place.iterdir():
            _remove(child)
