"""What a chain of checkpoints must show before anybody spends time on replaying it. Runs no code of the release.

Over the records alone: the links hold; every checkpoint used up exactly the rows that its steps take; the last is at
the last step; the metrics have a line for each step, finite, that says the same loss. And what the signed lengths of
the gradients say of every optimizer state:

AdamW keeps v <- b v + (1 - b) g^2, so that all v together are (1 - b) sum over steps i of b^(t - i) |g_i|^2, where
|g_i| is the length of the gradient after clipping. (Kingma and Ba, arXiv 1412.6980, algorithm 1.)

A liar who trained properly on other data passes all of it: that is what replaying is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from registry import strict_yaml
from registry.audit import metrics
from registry.errors import GlasshouseError, Malformed, VerificationError
from registry.records import layout
from registry.records.checkpoint_chain import Chain


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
        """Raises Malformed where params.yaml says no such thing."""
        match strict_yaml.read(path):
            case {"train": {"steps": int(steps), "micro_batches": int(leaves), "micro_batch_rows": int(rows)} as train}:
                clip, beta2 = (train.get(name) for name in ("clip_norm", "beta2"))
                told = isinstance(clip, int | float) and isinstance(beta2, float) and clip > 0 and 0 < beta2 < 1
                return cls(steps, leaves * rows, *((float(clip), beta2) if told else ()))
        raise Malformed(f"{path.name} does not say how training goes in steps", mend="report the release")


Question = tuple[str, Callable[[], str]]
"""What is looked at, and what gives the answer in words, or raises GlasshouseError."""


def questions(root: Path, found: Chain) -> Iterator[Question]:
    """Over the records of the release at `root`, whose chain is `found`."""
    yield "links", lambda: _links(found)
    yield "positions", lambda: _positions(root, found)
    yield "metrics", lambda: _metrics(root, found)


def second_moments(root: Path, found: Chain) -> Mapping[int, float]:
    """Step of each checkpoint -> the sum of all second moments; empty where the records of the release do not tell."""
    sums, total = {0: 0.0}, 0.0
    try:
        schedule = Schedule.read(root / layout.PARAMS)
        if schedule.clip is None or schedule.beta2 is None:
            return {}
        for step, line in enumerate(metrics.lines(root / layout.METRICS), start=1):
            match line:
                case {"gradientNorm": int() | float() as norm}:
                    total = schedule.beta2 * total + (1 - schedule.beta2) * min(norm, schedule.clip) ** 2
                    sums[step] = total
                case _:
                    return {}
    except GlasshouseError:
        return {}
    return {entry.step: sums[entry.step] for entry in found.entries if entry.step in sums}


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
    for line in metrics.lines(root / layout.METRICS):
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


def _fail(found: str) -> NoReturn:
    raise VerificationError(found, mend="report the release to its maintainer")
