"""What the system says of files, and what they hash to; as a program, too, that `many_files` runs once for each core.

    python -I -S file_reader.py looked|hashed    paths come in, each ended by a NUL; ROWs go out

Law: a row goes out for each path, in their order, or none at all.

It imports nothing of Glasshouse, so it starts in some 20 ms. It ends with 1 where a file is not there, or cannot be
read, and says no more: who asked looks for themself.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from struct import Struct

STATE = Struct("<Qqqq")
"""Device, size, mtime and ctime, in bytes and nanoseconds: by which a file is known to be as it was."""
ROW = Struct("<QI Qqqq 32s")
"""Inode; mode, which tells links and devices; STATE; SHA-256, zeros where it was not asked for."""
PIECE = 1 << 20
"""Bytes read at a time."""
UNREAD = bytes(32)


def looked(path: str | bytes) -> bytes:
    """ROW of what is at `path` itself, where that is a link. Raises OSError where nothing is there."""
    return row(os.lstat(path), UNREAD)


def hashed(path: str | bytes) -> bytes:
    """ROW of the file at `path`, as it was once it was read to its end. Raises OSError for a link, as for any other."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        digest = hashlib.sha256()
        while piece := os.read(file, PIECE):
            digest.update(piece)
        return row(os.fstat(file), digest.digest())
    finally:
        os.close(file)


WORK: dict[str, Callable[[bytes], bytes]] = {"looked": looked, "hashed": hashed}


def row(found: os.stat_result, sha256: bytes) -> bytes:
    """ROW of a file of which the system says `found`."""
    times = found.st_mtime_ns, found.st_ctime_ns
    return ROW.pack(found.st_ino, found.st_mode, found.st_dev, found.st_size, *times, sha256)


def main() -> int:
    """Do it for standard input, on standard output."""
    work = WORK[sys.argv[1]]
    try:
        rows = [work(path) for path in sys.stdin.buffer.read().split(b"\0")[:-1]]
    except (OSError, ValueError):
        return 1
    sys.stdout.buffer.write(b"".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
