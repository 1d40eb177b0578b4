"""What the system says of files, and what they hash to, each in less time than a thread of Python takes for it.

A file of 20 KiB costs more to open, and to make objects of, than to hash; and of that, threads do one at a time. So
many files are looked at, and hashed, by processes, one for each core. A few are hashed by threads, one of which is
enough for a large file.

Law: the answer is the same, whoever gives it. What a process could not do is done here, and told as anything else is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from struct import Struct
from typing import NamedTuple

from registry.digest import hash_files
from registry.project import file_reader
from registry.project.file_reader import ROW, STATE

MANY = 16_000
"""Files for which processes are started, each for at least half as many: a start costs what looking at 5,000 does."""
MAX_PROCESSES = 16
SHARES = 4
"""Into how many parts each core's share of hashing falls: files differ in size."""
READ = Struct(f"<QI{STATE.size}s32s")
"""`file_reader.ROW`, with its STATE as one."""


class FileState(NamedTuple):
    """What the system says of a file, or of a link."""

    inode: int
    """Its number on its device."""
    mode: int
    """Which kind it is of, as `stat` has it."""
    state: bytes
    """By what else it is known to be as it was: `file_reader.STATE`."""
    sha256: bytes
    """The 32 bytes of its digest; zeros where it was not read."""

    @property
    def size(self) -> int:
        """Its bytes."""
        size: int = STATE.unpack(self.state)[1]
        return size

    @property
    def changed(self) -> tuple[int, int]:
        """mtime and ctime, in nanoseconds."""
        _, _, mtime, ctime = STATE.unpack(self.state)
        return mtime, ctime

    def same_file(self, other: FileState) -> bool:
        """Whether `other` was said of the same file, and it has not changed in between."""
        return (self.inode, self.mode, self.state) == (other.inode, other.mode, other.state)


def look(paths: Sequence[str]) -> list[FileState]:
    """What is at each of `paths`; a link is not followed. Raises OSError where nothing is."""
    return list(states(look_rows(paths)))


def look_rows(paths: Sequence[str], folder: str = "") -> bytes:
    """`look` of paths that start from `folder`, as `file_reader.ROW` after `file_reader.ROW`."""
    if rows := _by_processes("looked", paths, 1, folder):
        return rows
    return b"".join([file_reader.looked(f"{folder}/{path}" if folder else path) for path in paths])


def read(files: Sequence[tuple[str, FileState]]) -> list[FileState]:
    """Each of `files`, hashed, as it was once that was done. Raises OSError where one cannot be read or is a link."""
    if rows := _by_processes("hashed", [path for path, _ in files], SHARES):
        return list(states(rows))
    hashed = hash_files((path, before.size) for path, before in files)
    return list(states(b"".join(file_reader.row(found, bytes.fromhex(sha256)) for sha256, found in hashed)))


def states(rows: bytes) -> Iterator[FileState]:
    """Each of `rows`, as `file_reader.ROW` has it."""
    return map(FileState._make, READ.iter_unpack(rows))


def _by_processes(work: str, paths: Sequence[str], shares: int, folder: str = "") -> bytes:
    """What processes, one at a time on each core, say of `paths`; nothing where these are few, or one of those fails.

    shares: how many each core has, one after the other.  folder: where relative paths start.
    """
    cores = min(os.cpu_count() or 1, MAX_PROCESSES)
    if cores < 2 or len(paths) < MANY or not sys.executable:
        return b""
    size = max(-(-len(paths) // (cores * shares)), MANY // 2, 1)
    with ThreadPoolExecutor(cores) as pool:
        said = pool.map(lambda first: _share(work, paths[first : first + size], folder), range(0, len(paths), size))
        rows = b"".join(said)
    return rows if len(rows) == len(paths) * ROW.size else b""


def _share(work: str, paths: Sequence[str], folder: str) -> bytes:
    """The rows that one process, in `folder`, gives for `paths`; none where it fails."""
    command = [sys.executable, "-I", "-S", file_reader.__file__, work]
    given = os.fsencode("\0".join([*paths, ""]))
    try:
        done = subprocess.run(
            command, cwd=folder or None, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return b""
    return done.stdout
