"""Checkpoints that are written while the training goes on.

    keep     the state is copied, and a thread writes, flushes and hashes the copy, and then names it in the chain
    look     what went wrong in that thread is raised, at the next step
    wait     the thread has ended, and the chain is whole

There is one such thread, and one copy: a checkpoint waits for the one before. The cores that compute nothing hash what
is written; while the training waits for it, those of the training do, too.

Law: files and chain are those of a training that waits for each. Whenever it is killed, the folder has a checkpoint
whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from pipelines.checkpoints import RunFolder, Write
from pipelines.cores import Cores
from registry.errors import Unavailable
from registry.records.checkpoint_chain import Chain

Snapshot = Callable[[Cores], Write]
"""Copies what a checkpoint holds, as it is now; what it returns writes that copy, by the threads that may compute."""


class CheckpointKeeper:
    """Keeps the checkpoints of one training. When its block ends, the last one is whole."""

    def __init__(self, folder: RunFolder, chain: Chain, *, first: bool, idle: int = 0) -> None:
        """folder: where.  chain: of those that are there.

        first: whether this is process 0, which names them.  idle: cores that the training computes nothing on.
        """
        self._folder, self._chain, self._first, self._cores = folder, chain, first, Cores(idle)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        with self._pool:
            if kind is None:
                self.wait()
            elif self._writing is not None:
                with self._cores.lent():
                    wait([self._writing])  # what was raised first is told

    def keep(self, snapshot: Snapshot, *, step: int, end: int, loss: float | None) -> None:
        """Keep the state as it is now, `step` steps done, when the one before is whole: `snapshot` copies it here.

        The others as in `RunFolder.save`. Raises as `look` does, of the one before.
        """
        self.wait()
        self._writing = self._pool.submit(self._keep, snapshot(self._cores), step, end, loss)

    def look(self) -> None:
        """Raise what went wrong in writing, if it has come out: Unavailable where the disk did not take it."""
        if self._writing is not None and self._writing.done():
            self._writing.result()

    def wait(self) -> Chain:
        """Wait until the last checkpoint is whole. Returns the chain, which is longer in process 0 alone.

        Raises as `look` does.
        """
        if self._writing is not None:
            with self._cores.lent():
                self._writing.result()
        return self._chain

    def _keep(self, write: Write, step: int, end: int, loss: float | None) -> None:
        try:
            if self._first:
                self._chain = self._folder.save(self._chain, write, step=step, end=end, loss=loss)
            else:
                write(None)
        except OSError as problem:
            raise Unavailable(
                f"the checkpoint at step {step} was not written to {self._folder.checkpoints}: {problem}",
                mend="make room, and run it again: it goes on from the last whole checkpoint",
            ) from problem
