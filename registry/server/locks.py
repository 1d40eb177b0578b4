"""Locks between processes, which the kernel frees when a process dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAUSE_SECONDS = 0.005
"""Between two looks at a lock that somebody else holds."""


@contextmanager
def locked(path: Path, *, shared: bool = False, seconds: float | None = None, made: bool = True) -> Iterator[None]:
    """Hold the lock file `path` against all other threads and processes; `shared`, with others.

    seconds: how long to wait for it; None for as long as it takes.  made: whether it is made if missing.
    Raises FileNotFoundError where there is no such folder or file, TimeoutError where somebody else holds it longer.
    """
    descriptor = os.open(path, os.O_CREAT * made | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        take(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, seconds)
        yield
    finally:
        os.close(descriptor)


def take(descriptor: int, kind: int, seconds: float | None) -> None:
    """Lock what was opened, as `fcntl.flock` does, until it is closed. seconds, TimeoutError: as of `locked`."""
    if seconds is None:
        fcntl.flock(descriptor, kind)
        return
    end = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError("somebody else holds the lock") from None
            time.sleep(PAUSE_SECONDS)
