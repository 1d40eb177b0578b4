"""The same work on many things at once, which stops at once when something goes wrong or a person cancels."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Stopped(Exception):
    """Some other item failed, or a person cancelled: this one's result is no longer wanted."""


def for_each(
    work: Callable[[T, Callable[[int], None]], R],
    items: Iterable[T],
    progress: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> list[R]:
    """`work(item, told)` of each item, in their order, by `workers` threads (default: one per core).

    `work` calls `told` with the bytes it has just done, every so often, and lets through what that raises: so a
    cancelled command does not wait for the end of a large file. Raises what the first item to fail raises.
    """
    stop = threading.Event()

    def told(count: int) -> None:
        if stop.is_set():
            raise _Stopped
        if progress is not None:
            progress(count)

    items = list(items)
    if len(items) < 2:
        return [work(item, told) for item in items]
    with ThreadPoolExecutor(min(workers or os.cpu_count() or 1, len(items))) as pool:
        jobs = [pool.submit(work, item, told) for item in items]
        try:
            done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
            for job in done:
                job.result()  # raises what it raised
            return [job.result() for job in jobs]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def beside(work: Callable[[Callable[[int], None]], R]) -> Iterator[Callable[[], R]]:
    """Within: a thread does `work(told)`, and what is given waits for its result, or raises what it raised.

    `work` calls `told` as in `for_each`: when the block ends, what is not finished stops there.
    """
    stop = threading.Event()

    def told(count: int) -> None:
        if stop.is_set():
            raise _Stopped

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(work, told)
        try:
            yield job.result
        finally:
            stop.set()
