"""What one checkpoint must show before anybody spends time on replaying from it. Runs no code of the release.

Its numbers are finite, second moments are not negative and sum to what the signed lengths of the gradients give, every
optimizer step says the checkpoint's own step, weights and state have the same names and shapes, and before the first
step all state is zero. Between two checkpoints no second moment falls faster than forgetting lets it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from registry import tensors
from registry.errors import Unavailable, VerificationError
from registry.records.checkpoint_chain import Checkpoint
from registry.records.training_folder import OPTIMIZER, WEIGHTS
from registry.tensors import Tensor

STATE = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps for each parameter."""
WHOLE = ("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64")
"""Types of which every number is finite."""
ROUNDING = 2.0**-21
"""What float32 may lose of a second moment in a step, relatively: beta2, a product and a sum are rounded."""
SMALLEST = 2.0**-125
"""What it may lose besides, where numbers are so small that processors take them for zero."""
MOMENTS_APART = 1e-3
"""How far apart, relatively, the second moments and what the metrics give may be: float32 rounds at every step."""


def plausible(entry: Checkpoint, folder: Path, *, is_adamw: bool = True, moments: float | None = None) -> str:
    """What the files in `folder` show, whose digests are those of `entry`, in words.

    is_adamw: whether the state is AdamW's; of any other, only its numbers are looked at.  moments: the sum of all
    second moments, as `chain_checks.second_moments` gives it. Raises VerificationError that says what cannot be,
    Unavailable for numbers of a type that is not looked into, and InputError for what is not safetensors.
    """
    weights = {tensor.name: tensor for tensor in tensors.read_header(folder / WEIGHTS)}
    state = {tensor.name: tensor for tensor in tensors.read_header(folder / OPTIMIZER)}
    if not is_adamw:
        for path, found in ((folder / WEIGHTS, weights), (folder / OPTIMIZER, state)):
            with path.open("rb") as stream:
                for tensor in found.values():
                    if tensor.dtype not in WHOLE:
                        _finite(stream, tensor)
        return f"{len(weights)} tensors, and {len(state)} of the optimizer, finite"
    wanted = {f"{name}.{key}" for name in weights for key in STATE}
    if state.keys() != wanted:
        _fail(f"the optimizer's state does not fit the weights at {min(state.keys() ^ wanted)}")
    for name, tensor in state.items():
        shape = () if name.endswith(".step") else weights[name.rpartition(".")[0]].shape
        if tensor.shape != shape:
            _fail(f"{name} has shape {tensor.shape}, not {shape}")
    with (folder / WEIGHTS).open("rb") as stream:
        for tensor in weights.values():
            _finite(stream, tensor)
    with (folder / OPTIMIZER).open("rb") as stream:
        total = math.fsum(_sound(stream, tensor, entry.step) for tensor in state.values())
    words = f"{len(weights)} tensors, finite; optimizer at step {entry.step}"
    if moments is None:
        return words
    if abs(total - moments) > MOMENTS_APART * moments:
        _fail(f"the second moments sum to {total:.6g}; the gradients of the signed metrics give {moments:.6g}")
    return f"{words}, its moments as the gradients' lengths give them"


def descend(earlier: Checkpoint, later: Checkpoint, folders: tuple[Path, Path], beta2: float) -> str:
    """What the second moments of two checkpoints in `folders` show, whose digests are those of the entries, in words.

    AdamW keeps v <- beta2 v + (1 - beta2) g^2, and g^2 is not negative: S steps later each v is at least beta2^S of
    what it was, whatever the data were. Raises VerificationError that names one which is less, beyond what float32
    rounds, and Unavailable where the moments are of a type that rounds more.
    Source: Kingma and Ba, arXiv 1412.6980, algorithm 1.
    """
    before, after = ({tensor.name: tensor for tensor in _second(folder)} for folder in folders)
    if before.keys() != after.keys():
        _fail(f"only one of them has second moments of {min(before.keys() ^ after.keys())}")
    steps = later.step - earlier.step
    left = beta2**steps * (1 - steps * ROUNDING)
    with (folders[0] / OPTIMIZER).open("rb") as old, (folders[1] / OPTIMIZER).open("rb") as new:
        for name, tensor in before.items():
            if (tensor.shape, tensor.dtype) != (after[name].shape, after[name].dtype):
                _fail(f"{name} has another shape or type in the later one")
            if tensor.dtype not in ("F32", "F64"):
                raise Unavailable(f"{name} is {tensor.dtype}: how that rounds is not looked into", mend="replay it")
            for were, are in zip(tensors.values(old, tensor), tensors.values(new, after[name]), strict=True):
                for was, now in zip(were, are, strict=True):
                    if not now >= was * left - SMALLEST:
                        _fail(f"{name} falls from {was:g} to {now:g} in {steps} steps, in which {was * left:g} is left")
    return f"of {len(before)} tensors: each at least {beta2:g}^{steps} of what it was"


def _second(folder: Path) -> list[Tensor]:
    return [tensor for tensor in tensors.read_header(folder / OPTIMIZER) if tensor.name.endswith(".exp_avg_sq")]


def _sound(stream: BinaryIO, tensor: Tensor, step: int) -> float:
    """One tensor of the optimizer's state after `step` steps. Gives the sum of its second moments."""
    found = _finite(stream, tensor)
    if tensor.name.endswith(".step") and (found.least, found.most) != (step, step):
        _fail(f"{tensor.name} says step {found.most:g}, the checkpoint is of step {step}")
    if tensor.name.endswith(".exp_avg_sq") and found.least < 0:
        _fail(f"{tensor.name} has a mean of squares of {found.least:g}")
    if step == 0 and (found.least, found.most) != (0, 0):
        _fail(f"{tensor.name} is not zero before the first step")
    return found.total if tensor.name.endswith(".exp_avg_sq") else 0.0


class Extent(NamedTuple):
    """How far the numbers of a tensor go; zeros for a tensor without any."""

    least: float
    """The least number."""
    most: float
    """The greatest."""
    total: float
    """The sum of all."""


def _finite(stream: BinaryIO, tensor: Tensor) -> Extent:
    """Raises VerificationError for NaN and infinities."""
    least, most, total = math.inf, -math.inf, 0.0
    for numbers in tensors.values(stream, tensor):
        piece = sum(numbers)  # of doubles, which finite float32s cannot overflow
        if not math.isfinite(piece):
            _fail(f"{tensor.name} holds numbers that are not finite")
        least, most, total = min(least, *numbers), max(most, *numbers), total + piece
    return Extent(least, most, total) if least <= most else Extent(0.0, 0.0, 0.0)


def _fail(found: str) -> NoReturn:
    raise VerificationError(found, mend="report the release to its maintainer")
