"""The command by which a project's training is replayed. Its own source offers it; an audit calls it.

    python -m MODULE --environment OUT    writes OUT/environment.json: does the numeric profile hold here?
    python -m MODULE --initial OUT        makes the checkpoint at step 0, from the seed alone
    python -m MODULE --chain FILE --segment AFTER UNTIL CHECKPOINT OUT [--segment ...]
                                          trains each segment of the signed chain in FILE again, one after the other

It runs at the root of the source, after the stages that make the data. AFTER and UNTIL are steps that the chain has,
CHECKPOINT is the folder of the checkpoint at AFTER. OUT is a folder that does not exist yet, and becomes what
registry.records.training_folder says: for a segment, the chain up to the checkpoint at UNTIL, that checkpoint, and the
metrics of the steps in between, each written as it is done. registry.variables.PROCESSES says on how
many processes to train.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = "--environment"
INITIAL = "--initial"
CHAIN = "--chain"
SEGMENT = "--segment"


@dataclass(frozen=True, slots=True)
class ReplayTask:
    """A segment to train again."""

    after: int
    """The step at which it begins."""
    until: int
    """The step at which it ends."""
    checkpoint: Path
    """The folder of the checkpoint to begin with."""
    out: Path
    """The new folder to write to."""


def environment(module: str, out: Path) -> list[str]:
    """The command that tells whether the numeric profile holds."""
    return [*_run(module), ENVIRONMENT, str(out)]


def initial(module: str, out: Path) -> list[str]:
    """The command that makes the checkpoint at step 0."""
    return [*_run(module), INITIAL, str(out)]


def segments(module: str, chain: Path, tasks: Iterable[ReplayTask]) -> list[str]:
    """The command that trains segments again.  chain: the file of the signed chain."""
    words = [*_run(module), CHAIN, str(chain)]
    for task in tasks:
        words += [SEGMENT, str(task.after), str(task.until), str(task.checkpoint), str(task.out)]
    return words


def _run(module: str) -> tuple[str, ...]:
    return "python", "-m", module
