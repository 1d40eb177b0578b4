"""Checkpoints that are written while the training goes on.

    keep     the state is copied, and a thread writes, flushes and hashes the copy, and then names it in the chain
    look     what went wrong in that thread is raised, at the next step
    chain    the thread has ended, and the chain is whole

There is one such thread: a checkpoint waits for the one before.

Law: files and chain are those of a training that waits for each. Whenever it is killed, the folder has a checkpoint
whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

import torch

from pipelines.checkpoints import RunFolder, Write
from registry.errors import Unavailable
from registry.records.checkpoint_chain import Chain


def copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each tensor as it is now, in the CPU's memory."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


class CheckpointKeeper:
    """Keeps the checkpoints of one training. When its block ends, the last one is whole."""

    def __init__(self, folder: RunFolder, chain: Chain, *, first: bool) -> None:
        """folder: where.  chain: of those that are there.  first: whether this is process 0, which names them."""
        self._folder, self._chain, self._first = folder, chain, first
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        with self._pool:
            if kind is None:
                self.wait()
            elif self._writing is not None:
                wait([self._writing])  # what was raised first is told

    def keep(self, write: Write, *, step: int, end: int, loss: float | None) -> None:
        """Let `write` write the checkpoint after `step` steps; the others as in `RunFolder.save`."""
        self.wait()
        self._writing = self._pool.submit(self._keep, write, step, end, loss)

    def look(self) -> None:
        """Raise what went wrong in writing, if it has come out: Unavailable where the disk did not take it."""
        if self._writing is not None and self._writing.done():
            self._writing.result()

    def wait(self) -> Chain:
        """Wait until the last checkpoint is whole. Returns the chain, which is longer in process 0 alone.

        Raises as `look` does.
        """
        if self._writing is not None:
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
