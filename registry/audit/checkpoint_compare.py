"""What the source made of a segment, against the checkpoint that the chain names. Everything is hashed here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from registry import tensors
from registry.audit import compare
from registry.digest import sha256_file
from registry.errors import GlasshouseError, InputError, Unavailable
from registry.records.checkpoint_chain import Chain, Checkpoint
from registry.records.training_folder import OPTIMIZER, WEIGHTS, TrainingFolder

MAX_CHAIN = 16 << 20
"""Bytes of a chain that a source wrote: some 30,000 checkpoints."""


def last(made: TrainingFolder) -> Checkpoint:
    """The last checkpoint that the source says it made. Raises Unavailable where it made none."""
    try:
        return Chain.read(made.chain, max_bytes=MAX_CHAIN).entries[-1]
    except (GlasshouseError, IndexError) as problem:
        raise _nothing(problem) from problem


def same(entry: Checkpoint, made: TrainingFolder) -> tuple[Literal["BITWISE", "TENSORS"], str] | None:
    """BITWISE or TENSORS, in words, where the last checkpoint that was made is that of `entry`; else None.

    Raises Unavailable where none was made.
    """
    folder, said = made.checkpoint(entry.step), last(made)
    try:
        if missing := [name for name in (WEIGHTS, OPTIMIZER) if not (folder / name).is_file()]:
            raise InputError(f"{', '.join(missing)} is not a plain file", mend="--keep DIR leaves the logs")
        files = {
            name: (sha256_file(folder / name), tensors.tensors_digest(folder / name)) for name in (WEIGHTS, OPTIMIZER)
        }
    except (GlasshouseError, OSError) as problem:
        raise _nothing(problem) from problem
    wanted = {WEIGHTS: entry.weights, OPTIMIZER: entry.optimizer}
    if any(files[name][1] != digests.tensors for name, digests in wanted.items()):
        return None
    if (said.positions.end, said.loss) != (entry.positions.end, entry.loss):
        return None
    if all(files[name][0] == digests.file for name, digests in wanted.items()):
        return "BITWISE", "weights, optimizer state, rows and loss are the same"
    return "TENSORS", "every tensor is the same, in files that are laid out otherwise"


def apart(entry: Checkpoint, signed: Path, made: TrainingFolder, tolerance: float) -> tuple[bool, list[str]]:
    """Whether what was made is within `tolerance` of `entry`, whose files are in `signed`; and where it departs.

    tolerance: relative, for losses and for tensors.
    """
    near, words = losses_apart(entry, made, tolerance)
    for name in (WEIGHTS, OPTIMIZER):
        verdict, reason = compare.weights(signed / name, made.checkpoint(entry.step) / name, tolerance)
        near = near and verdict != "DIFFERENT"
        words += [f"{name}: {reason}"] if verdict != "TENSORS" else []
    return near, words


def losses_apart(entry: Checkpoint, made: TrainingFolder, tolerance: float) -> tuple[bool, list[str]]:
    """As `apart`, of the loss alone, which needs no checkpoint."""
    theirs, ours = {"loss": entry.loss}, {"loss": last(made).loss}
    words = [f"the chain says loss {entry.loss}, the replay {ours['loss']}"] if theirs != ours else []
    return compare.apart(theirs, ours) <= tolerance, words


def _nothing(problem: Exception) -> Unavailable:
    return Unavailable(f"the source made no checkpoint: {problem}", mend="--keep DIR leaves the logs")
