"""What a chain of checkpoints must show before anybody spends time on replaying it. Runs no code of the release.

Over the records alone: the links hold; every checkpoint used up exactly the rows that its steps take; the last is at
the last step; the metrics have a line for each step, finite, that says the same loss. Over each checkpoint at hand:
its numbers are finite, second moments are not negative, every optimizer step says the checkpoint's own step, weights
and state have the same names and shapes, and before the first step all state is zero.

A liar who trained properly on other data passes all of it: that is what replaying is for.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from registry import canonical, strict_yaml, tensors
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.hub.checkpoints import OPTIMIZER, WEIGHTS
from registry.records import release as layout
from registry.records.chain import Chain, Checkpoint
from registry.report import Check, Verdict
from registry.tensors import Tensor

STEP, NAME = 8, "chain"
"""After the steps 0 to 7 of verification."""
METRICS = "provenance/metrics.jsonl"
MAX_LINE = 4096
CHUNK = 1 << 20
FORMATS = {"F32": "f", "F64": "d", "F16": "e"}
"""safetensors' name of a type -> Python's (struct)."""
STATE = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps for each parameter."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What params.yaml says of the steps.  steps: in all.  rows: a step's."""

    steps: int
    rows: int

    @classmethod
    def read(cls, path: Path) -> Schedule:
        """Raises InputError where params.yaml says no such thing."""
        match strict_yaml.read(path):
            case {"train": {"steps": int(steps), "micro_batches": int(leaves), "micro_batch_rows": int(rows)}}:
                return cls(steps, leaves * rows)
        raise InputError(f"{path.name} does not say how training goes in steps", mend="report the release")


def chain(root: Path, found: Chain) -> Iterator[Check]:
    """Over the records of the release at `root`, whose chain is `found`."""
    yield _answer("links", lambda: _links(found))
    yield _answer("positions", lambda: _positions(root, found))
    yield _answer("metrics", lambda: _metrics(root, found))


def checkpoint(entry: Checkpoint, folder: Path) -> Iterator[Check]:
    """Over the files of one checkpoint, whose digests are those of `entry`."""
    yield _answer(f"checkpoint at step {entry.step}", lambda: _plausible(entry, folder))


def _answer(subject: str, question: Callable[[], str]) -> Check:
    try:
        words = question()
    except Unavailable as problem:
        return Check(STEP, NAME, Verdict.UNKNOWN, subject, problem.message)
    except GlasshouseError as problem:
        return Check(STEP, NAME, Verdict.FAIL, subject, problem.message)
    return Check(STEP, NAME, Verdict.PASS, subject, words)


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
    for line in metrics(root / METRICS):
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


def _plausible(entry: Checkpoint, folder: Path) -> str:
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
        for tensor in state.values():
            _sound(stream, tensor, entry.step)
    return f"{len(weights)} tensors, finite; optimizer at step {entry.step}"


def _sound(stream: BinaryIO, tensor: Tensor, step: int) -> None:
    """One tensor of the optimizer's state after `step` steps."""
    least, most = _finite(stream, tensor)
    if tensor.name.endswith(".step") and (least, most) != (step, step):
        _fail(f"{tensor.name} says step {most:g}, the checkpoint is of step {step}")
    if tensor.name.endswith(".exp_avg_sq") and least < 0:
        _fail(f"{tensor.name} has a mean of squares of {least:g}")
    if step == 0 and (least, most) != (0, 0):
        _fail(f"{tensor.name} is not zero before the first step")


def _finite(stream: BinaryIO, tensor: Tensor) -> tuple[float, float]:
    """Least and greatest number of a tensor, (0, 0) for none. Raises VerificationError for NaN and infinities."""
    least, most = math.inf, -math.inf
    for numbers in values(stream, tensor):
        if not math.isfinite(sum(numbers)):  # of doubles, which finite float32s cannot overflow
            _fail(f"{tensor.name} holds numbers that are not finite")
        least, most = min(least, *numbers), max(most, *numbers)
    return (least, most) if least <= most else (0.0, 0.0)


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
