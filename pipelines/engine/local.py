"""Engines of this machine: this process alone, or several of them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from pipelines.engine import rows
from pipelines.engine.work import Answer, Work
from registry import variables
from registry.errors import InputError, Unavailable

_works: list[Work] = []
"""What a worker does."""


def processes() -> int:
    """How many processes work: GLASSHOUSE_PROCESSES, else one a core. Raises InputError where it is not a number."""
    asked = os.environ.get(variables.PROCESSES) or str(len(os.sched_getaffinity(0)))
    if not asked.isdecimal() or not 1 <= int(asked) <= 1024:
        raise InputError(
            f"{variables.PROCESSES} is {asked[:50]!r}, not a number from 1 on", mend="set it to 1, or unset it"
        )
    return int(asked)


@dataclass(frozen=True)
class Alone:
    """This process, which works on a shard when its answer is asked for."""

    work: Work
    """What it does."""
    width: int = 0
    """No process beside this one."""

    def begin(self, shard: bytes) -> Answer:
        """Work that is done when it is asked for."""
        return partial(self.work, shard)


@dataclass(frozen=True)
class Processes:
    """Processes of this machine. One that is killed ends them all: memory that ran out once runs out again."""

    pool: ProcessPoolExecutor
    """Their pool."""
    width: int
    """How many there are."""

    @classmethod
    @contextmanager
    def started(cls, work: Work, count: int) -> Iterator[Processes]:
        """`count` processes that do `work`; they end with the block."""
        with ExitStack() as stack:
            context = multiprocessing.get_context("forkserver")
            pool = stack.enter_context(ProcessPoolExecutor(count, context, initializer=_start, initargs=(work,)))
            stack.callback(pool.shutdown, cancel_futures=True)
            yield cls(pool, count)

    def begin(self, shard: bytes) -> Answer:
        """Begin the work on a shard. The answer raises Unavailable where a process was killed."""
        with _told():
            return partial(_answer, self.pool.submit(_work_on, shard))


def _answer(future: Future[bytes]) -> bytes:
    with _told():
        return future.result()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as problem:
        raise Unavailable(
            "one of the processes that share the work was killed, perhaps for want of memory",
            mend=f"run the stage again, which goes on from there; with {variables.PROCESSES}=1 it takes least memory",
        ) from problem


def _start(work: Work) -> None:
    rows.without_pandas()
    _works[:] = [work]


def _work_on(shard: bytes) -> bytes:
    return _works[0](shard)
