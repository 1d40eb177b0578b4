"""What people call files and branches of repositories, by custom: a name proves nothing, and tells where to look.

Names of steps as they are seen in the wild: step-000100, step1000, step1000-tokens4B, stage1-step1000-tokens4B,
checkpoint-1000, global_step1000, ckpt_000. What stands before the number tells one series from another.
"""

from __future__ import annotations

import re

from registry.suffixes import WEIGHTS

_STEP = re.compile(
    r"(?P<series>(?:.*[-_/.])?)(?:global_?)?(?:step|checkpoint|ckpt|iter)[-_]?(?P<step>[0-9]{1,12})(?![0-9]).*"
)


def parse_step(name: str) -> tuple[str, int] | None:
    """(series, step) of a branch or tag that is named after a step; None for any other."""
    found = _STEP.fullmatch(name)
    return (found["series"].rstrip("-_/."), int(found["step"])) if found else None


def is_weights(path: str) -> bool:
    """Whether a file holds weights, by its name: of the model, not of its optimizer."""
    name = path.rsplit("/", 1)[-1].lower()
    return name.endswith(tuple(WEIGHTS)) and not is_optimizer(path) and "train" not in name


def is_optimizer(path: str) -> bool:
    """Whether a file holds the state of an optimizer, by its name."""
    return "optim" in path.rsplit("/", 1)[-1].lower() or "optim" in path.lower().split("/")[0]
