"""What a chain of checkpoints must show before anybody spends time on replaying it. Runs no code of the release.

Over the records alone: the links hold; every checkpoint used up exactly the rows that its steps take; the last is at
the last step; the metrics have a line for each step, finite, that says the same loss. Over each checkpoint at hand:
its numbers are finite, second moments are not negative and sum to what the signed lengths of the gradients give, every
optimizer step says the checkpoint's own step, weights and state have the same names and shapes, and before the first
step all state is zero.

The sum: AdamW keeps v <- b v + (1 - b) g^2, so that all v together are (1 - b) sum over steps i of b^(t - i) |g_i|^2,
where |g_i| is the length of the gradient after clipping. (Kingma and Ba, arXiv 1412.6980, algorithm 1.)

A liar who trained properly on other data passes all of it: that is what replaying is for.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple, NoReturn

from registry import canonical, strict_yaml, tensors
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.records import layout
from registry.records.checkpoint_chain import Chain, Checkpoint
from registry.records.training_folder import OPTIMIZER, WEIGHTS
from registry.report import Check, Step, Verdict
from registry.tensors import Tensor

MAX_LINE = 4096
CHUNK = 1 << 20
FORMATS = {"F32": "f", "F64": "d", "F16": "e"}
"""safetensors' name of a type -> Python's (struct)."""
STATE = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps for each parameter."""
MOMENTS_APART = 1e-3
"""How far apart, relatively, the second moments and what the metrics give may be: float32 rounds at every step."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What params.yaml says of the steps.

    steps: in all.  rows: a step's.  clip: the greatest length of a gradient.  beta2: of AdamW.  None: it does not say.
    """

    steps: int
    rows: int
    clip: float | None = None
    beta2: float | None = None

    @classmethod
    def read(cls, path: Path) -> Schedule:
        """Raises InputError where params.yaml says no such thing."""
        match strict_yaml.read(path):
            case {"train": {"steps": int(steps), "micro_batches": int(leaves), "micro_batch_rows": int(rows)} as train}:
                clip, beta2 = (train.get(name) for name in ("clip_norm", "beta2"))
                told = isinstance(clip, int | float) and isinstance(beta2, float) and clip > 0 and 0 < beta2 < 1
                return cls(steps, leaves * rows, *((float(clip), beta2) if told else ()))
        raise InputError(f"{path.name} does not say how training goes in steps", mend="report the release")


def chain(root: Path, found: Chain) -> Iterator[Check]:
    """Over the records of the release at `root`, whose chain is `found`."""
    yield _answer("links", lambda: _links(found))
    yield _answer("positions", lambda: _positions(root, found))
    yield _answer("metrics", lambda: _metrics(root, found))


def checkpoint(entry: Checkpoint, folder: Path, moments: Mapping[int, float] = MappingProxyType({})) -> Iterator[Check]:
    """Over the files of one checkpoint, whose digests are those of `entry`. moments: as `second_moments` gives them."""
    yield _answer(f"checkpoint at step {entry.step}", lambda: _plausible(entry, folder, moments.get(entry.step)))


def second_moments(root: Path, found: Chain) -> Mapping[int, float]:
    """Step of each checkpoint -> the sum of all second moments; empty where the records of the release do not tell."""
    sums, total = {0: 0.0}, 0.0
    try:
        schedule = Schedule.read(root / layout.PARAMS)
        if schedule.clip is None or schedule.beta2 is None:
            return {}
        for step, line in enumerate(metrics(root / layout.METRICS), start=1):
            match line:
                case {"gradientNorm": int() | float() as norm}:
                    total = schedule.beta2 * total + (1 - schedule.beta2) * min(norm, schedule.clip) ** 2
                    sums[step] = total
                case _:
                    return {}
    except GlasshouseError:
        return {}
    return {entry.step: sums[entry.step] for entry in found.entries if entry.step in sums}


def _answer(subject: str, question: Callable[[], str]) -> Check:
    try:
        words = question()
    except Unavailable as problem:
        return Check(Step.CHAIN, Verdict.UNKNOWN, subject, problem.message)
    except GlasshouseError as problem:
        return Check(Step.CHAIN, Verdict.FAIL, subject, problem.message)
    return Check(Step.CHAIN, Verdict.PASS, subject, words)


def _links(found: Chain) -> str:
    found.verify()
    return f"{len(found.entries)} checkpoints, each bound to the one before, no two alike"


def _positions(root: Path, found: Chain) -> str:
    schedule = Schedule.read(root / layout.PARAMS)
    for entry in found.entries:
        if entry.positions.end != entry.step * schedule.rows:
            _fail(
                f"step {entry.step} ends at row {entry.positions.end}; "
                f"{entry.step} steps of {schedule.rows} rows end at {entry.step * schedule.rows}"
            )
    if (last := found.entries[-1].step) != schedule.steps:
        _fail(f"the chain ends at step {last}, training at step {schedule.steps}")
    return f"{schedule.rows} rows a step, without a gap, up to step {schedule.steps}"


def _metrics(root: Path, found: Chain) -> str:
    """One line a step, and the chain's losses are the lines'."""
    steps = found.entries[-1].step
    losses: dict[int, float | None] = {entry.step: entry.loss for entry in found.entries if entry.step}
    count = 0
    for line in metrics(root / layout.METRICS):
        count += 1
        match line:
            case {  # a whole float is written as an integer
                "step": int(step), "loss": int() | float() as loss, "gradientNorm": int() | float() as norm
            } if step == count and norm >= 0:  # fmt: skip
                if step in losses and losses[step] != loss:
                    _fail(f"the chain says loss {losses[step]} at step {step}, the metrics say {loss}")
            case _:
                _fail(f"line {count} is not step {count} with its loss and the length of its gradient")
    if count != steps:
        _fail(f"{count} lines for {steps} steps")
    return f"{count} steps, every loss and gradient finite, and as the chain says"


def metrics(path: Path) -> Iterator[Mapping[str, object]]:
    """The lines of a metrics.jsonl. Raises Unavailable where there is none, InputError for what is no line of one."""
    try:
        stream = path.open("rb")
    except OSError as problem:
        raise Unavailable(f"the release has no {path.name}", mend="ask its maintainer for it") from problem
    with stream:
        while line := stream.readline(MAX_LINE):
            value = canonical.parse(line, name=path.name)
            if not isinstance(value, dict):
                raise InputError(f"{path.name} has a line that is no object", mend="report the release")
            yield value


def _plausible(entry: Checkpoint, folder: Path, moments: float | None) -> str:
    weights = {tensor.name: tensor for tensor in tensors.read_header(folder / WEIGHTS)}
    state = {tensor.name: tensor for tensor in tensors.read_header(folder / OPTIMIZER)}
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
    """Least and greatest number of a tensor, and the sum of all; zeros for none."""

    least: float
    most: float
    total: float


def _finite(stream: BinaryIO, tensor: Tensor) -> Extent:
    """Raises VerificationError for NaN and infinities."""
    least, most, total = math.inf, -math.inf, 0.0
    for numbers in values(stream, tensor):
        piece = sum(numbers)  # of doubles, which finite float32s cannot overflow
        if not math.isfinite(piece):
            _fail(f"{tensor.name} holds numbers that are not finite")
        least, most, total = min(least, *numbers), max(most, *numbers), total + piece
    return Extent(least, most, total) if least <= most else Extent(0.0, 0.0, 0.0)


def values(stream: BinaryIO, tensor: Tensor) -> Iterator[tuple[float, ...]]:
    """The numbers of a tensor, in pieces, so that memory stays flat. Raises Unavailable for a type without a reader."""
    if tensor.dtype not in FORMATS:
        raise Unavailable(f"{tensor.name} is {tensor.dtype}, which is not looked into", mend="replay the segment")
    code = FORMATS[tensor.dtype]
    size = struct.calcsize(code)
    stream.seek(tensor.start)
    left = tensor.end - tensor.start
    while left:
        data = stream.read(min(CHUNK, left))
        if not data or len(data) % size:
            _fail(f"{tensor.name} ends early")
        left -= len(data)
        yield struct.unpack(f"<{len(data) // size}{code}", data)


def _fail(found: str) -> NoReturn:
    raise VerificationError(found, mend="report the release to its maintainer")
