"""Which threads of a training may compute beside it: no more than leave the training its cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """How many threads may compute: `with cores:` is one of them, and waits until it may."""

    def __init__(self, idle: int) -> None:
        """idle: cores that the training computes nothing on. One thread may compute even where there are none."""
        self._free = threading.Semaphore(max(1, idle))

    def __enter__(self) -> None:
        self._free.acquire()

    def __exit__(self, *_: object) -> None:
        self._free.release()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Within: as many more as there are cores, for the training waits.

        It ends when as many have left, so let all be done by then.
        """
        count = os.cpu_count() or 1
        self._free.release(count)
        try:
            yield
        finally:
            for _ in range(count):
                self._free.acquire()
