"""The same work on many things at once, which stops at once when something goes wrong or a person cancels."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
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
        with _heard(stop):
            return [work(item, told) for item in items]
    with _heard(stop), ThreadPoolExecutor(min(workers or os.cpu_count() or 1, len(items))) as pool:
        try:
            jobs = [pool.submit(work, item, told) for item in items]
            done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
            for job in done:
                job.result()  # raises what it raised
            return [job.result() for job in jobs]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _heard(stop: threading.Event) -> Iterator[None]:
    """Within, in the main thread: Ctrl-C sets `stop` before it raises KeyboardInterrupt; the block ends in that.

    What a signal raises can be dropped: where it comes while Python calls back for a weak reference, say. The work
    stops all the same.
    """
    before = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not before:
        yield
        return
    came = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        came.set()
        stop.set()
        before(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    except _Stopped:
        if not came.is_set():
            raise
    finally:
        signal.signal(signal.SIGINT, before)
    if came.is_set():
        raise KeyboardInterrupt


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
        try:
            yield pool.submit(work, told).result
        finally:
            stop.set()
