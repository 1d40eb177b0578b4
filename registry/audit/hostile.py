"""Files below a folder in which children of an audit can write. Nobody trusts what lies there.

Laws: a path is followed from the folder down by descriptors, and no link in it is followed; nothing is opened but plain
files, without waiting for anybody, so that a pipe does not block and a device is not read; what the auditor writes is a
new file or a new folder, never one that somebody put there. Source: openat(2), O_NOFOLLOW, O_NONBLOCK.
"""

from __future__ import annotations

import os
import stat
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, NoReturn

from registry.errors import InputError

Keeps = Callable[[os.stat_result], bool]
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_DEPTH = 64
"""Folders in one another."""
MAX_FILES = 1_000_000
"""Names of files and folders that are looked at."""
KEEP = "--keep DIR leaves what was made, to be looked at"


def opened(path: Path, below: Path) -> BinaryIO:
    """The plain file at `path`, which lies below the folder `below`, to be read.

    Raises InputError for anything else that is there, or where a link leads to it.
    """
    with _told(path), _folder(path.parent, below) as parent:
        descriptor = os.open(path.name, FILE, dir_fd=parent)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            _refuse(path, "it is not a plain file")
        return open(descriptor, "rb")


def plain(path: Path, below: Path) -> Path:
    """`path`, if `opened` would open it. It stays so only while no child runs. Raises InputError else."""
    opened(path, below).close()
    return path


def new_file(path: Path, below: Path) -> BinaryIO:
    """A file that was not there, at `path` below the folder `below`, to be written. Raises InputError where one was."""
    with _told(path), _folder(path.parent, below) as parent:
        return open(os.open(path.name, NEW, 0o600, dir_fd=parent), "wb")


def new_folder(path: Path, below: Path) -> Path:
    """`path`, where a folder was made that was not there, below the folder `below`. Raises InputError where one was."""
    with _told(path), _folder(path.parent, below) as parent:
        os.mkdir(path.name, 0o700, dir_fd=parent)
    return path


def folder(path: Path, below: Path) -> Path:
    """`path`, where a folder lies that is not a link, or is made. Raises InputError where something else is there."""
    with _told(path), _folder(path.parent, below) as parent:
        with suppress(FileExistsError):
            os.mkdir(path.name, 0o700, dir_fd=parent)
        os.close(os.open(path.name, FOLDER, dir_fd=parent))
    return path


def gone(path: Path, below: Path) -> None:
    """Remove the file at `path`, below the folder `below`, if there is one; a link itself, and not what it leads to.

    Raises InputError where a link leads there, or where it is a folder.
    """
    try:
        with _folder(path.parent, below) as parent:
            os.unlink(path.name, dir_fd=parent)
    except FileNotFoundError:
        return
    except OSError as problem:
        _refuse(path, problem.strerror or "it cannot be removed")


def take(path: Path, into: Path, below: Path, *, max_bytes: int, links: bool = False) -> None:
    """Move the folder at `path`, where children wrote, to `into`, where they do not; both lie below `below`.

    Only folders and plain files are left in it, and of those only the ones that have no more than `max_bytes`, and no
    second name (links: one that has is left, too). To be called when no child lives that could have a file open. Raises
    InputError where there is no such folder, or one that is too deep or too full.
    """

    def keeps(info: os.stat_result) -> bool:
        return stat.S_ISREG(info.st_mode) and info.st_size <= max_bytes and (links or info.st_nlink == 1)

    with _told(path), _folder(path.parent, below) as source, _folder(into.parent, below) as target:
        os.rename(path.name, into.name, src_dir_fd=source, dst_dir_fd=target)  # a link is moved, and not followed
        try:
            moved = os.open(into.name, FOLDER, dir_fd=target)
            try:
                _sweep(moved, path, keeps, count(1))
            finally:
                os.close(moved)
        except BaseException:
            remove(into)  # what was not looked through is not left to be read
            raise


def remove(path: Path) -> None:
    """Remove what is at `path`, and whatever lies in it, however deep. Warns where that cannot be.

    chmod and rm follow no link below it, and need no more memory where it is deeper.
    """
    if path.is_dir() and not path.is_symlink():
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(path)], capture_output=True, check=False)
    done = subprocess.run(["rm", "-rf", "--", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        warnings.warn(f"{_short(path)} is left; remove it by hand: {done.stderr.strip()[-300:]}", stacklevel=2)


def _sweep(descriptor: int, path: Path, keeps: Keeps, seen: Iterator[int], level: int = 0) -> None:
    """Remove each file that `keeps` does not keep from the folder that is open as `descriptor`, and those in it."""
    if level > MAX_DEPTH:
        _refuse(path, f"more than {MAX_DEPTH} folders lie in one another")
    with os.scandir(descriptor) as items:
        for item in items:
            if next(seen) > MAX_FILES:
                _refuse(path, f"it holds more than {MAX_FILES} files and folders")
            info = item.stat(follow_symlinks=False)
            if not stat.S_ISDIR(info.st_mode):
                if not keeps(info):
                    os.unlink(item.name, dir_fd=descriptor)
                continue
            inner = os.open(item.name, FOLDER, dir_fd=descriptor)
            try:
                _sweep(inner, path, keeps, seen, level + 1)
            finally:
                os.close(inner)


@contextmanager
def _folder(path: Path, below: Path) -> Iterator[int]:
    """The folder at `path`, open; each part of the way from `below` is a folder itself, and not a link to one."""
    if not path.is_relative_to(below) or ".." in path.parts:
        _refuse(path, f"it does not lie below {below}")
    descriptor = os.open(below, FOLDER)
    try:
        for part in path.relative_to(below).parts:
            inner = os.open(part, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Within: what the system refuses is InputError, which names `path`."""
    try:
        yield
    except OSError as problem:
        raise InputError(f"{_short(path)} is not to be had: {problem.strerror}", mend=KEEP) from problem


def _refuse(path: Path, why: str) -> NoReturn:
    raise InputError(f"{_short(path)} is not to be had: {why}", mend=KEEP)


def _short(path: Path) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in str(path)[-300:])
