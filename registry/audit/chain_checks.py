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
from pathlib import Path
from typing import NoReturn

from registry.audit import metrics
from registry.errors import GlasshouseError, VerificationError
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.project import Project

Question = tuple[str, Callable[[], str]]
"""What is looked at, and what gives the answer in words, or raises GlasshouseError."""


def questions(root: Path, found: Chain, project: Project) -> Iterator[Question]:
    """Over the records of the release at `root`, whose chain is `found`.  project: what its params.yaml says."""
    yield "links", lambda: _links(found)
    yield "positions", lambda: _positions(found, project)
    yield "metrics", lambda: _metrics(root, found)


def second_moments(root: Path, found: Chain, project: Project) -> Mapping[int, float]:
    """Step of each checkpoint -> the sum of all second moments; empty where the records of the release do not tell."""
    if project.adamw is None:
        return {}
    sums, total = {0: 0.0}, 0.0
    clip, beta2 = project.adamw
    try:
        for step, line in enumerate(metrics.lines(root / layout.METRICS), start=1):
            match line:
                case {"gradientNorm": int() | float() as norm}:
                    total = beta2 * total + (1 - beta2) * min(norm, clip) ** 2
                    sums[step] = total
                case _:
                    return {}
    except GlasshouseError:
        return {}
    return {entry.step: sums[entry.step] for entry in found.entries if entry.step in sums}


def _links(found: Chain) -> str:
    found.verify()
    return f"{len(found.entries)} checkpoints, each bound to the one before, no two alike"


def _positions(found: Chain, project: Project) -> str:
    rows, steps = project.rows, project.steps
    for entry in found.entries:
        if entry.positions.end != entry.step * rows:
            _fail(
                f"step {entry.step} ends at row {entry.positions.end}; "
                f"{entry.step} steps of {rows} rows end at {entry.step * rows}"
            )
    if (last := found.entries[-1].step) != steps:
        _fail(f"the chain ends at step {last}, training at step {steps}")
    return f"{rows} rows a step, without a gap, up to step {steps}"


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
