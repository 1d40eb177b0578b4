"""How what came out compares with what was signed: tensors, figures, and what a verdict says of a release.

BITWISE     the same bytes
TENSORS     the same tensors, in a file that is laid out otherwise
WITHIN      within a stated tolerance: tensors by the length of their difference relative to their own, figures
            relative to themselves
DIFFERENT   anything else
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from registry import tensors
from registry.digest import sha256_file
from registry.errors import GlasshouseError
from registry.report import Verdict


def digest(path: Path) -> str | None:
    """SHA-256 of the file at `path`; None where there is no plain file."""
    if not path.is_file():
        return None
    try:
        return sha256_file(path)
    except OSError:
        return None


def answer(verdict: str) -> Verdict:
    """Whether a verdict speaks for the release, against it, or leaves it open."""
    match verdict:
        case "BITWISE" | "TENSORS" | "WITHIN":
            return Verdict.PASS
        case "DIFFERENT":
            return Verdict.FAIL
    return Verdict.UNKNOWN


def weights(signed: Path, found: Path, tolerance: float) -> tuple[Literal["TENSORS", "WITHIN", "DIFFERENT"], str]:
    """How two files of tensors compare, and in which words: the first tensor that differs, and the farthest."""
    told = ""
    try:
        theirs, ours = tensors.tensor_digests(signed), tensors.tensor_digests(found)
        if theirs == ours:
            return "TENSORS", "every tensor is the same, the file is laid out otherwise"
        first = next(name for name in (*theirs, *ours) if theirs.get(name) != ours.get(name))
        if theirs.keys() != ours.keys():
            return "DIFFERENT", f"{first} is only in one of the two"
        told = f"the first tensor that differs is {first}; "
        distance, name = max(distances(signed, found))
    except GlasshouseError as problem:
        return "DIFFERENT", f"{told}{problem.message}"
    words = f"{told}the farthest is {name}, by {distance:.3g} of its length"
    return ("WITHIN" if distance <= tolerance else "DIFFERENT"), words


def distances(signed: Path, found: Path) -> Iterator[tuple[float, str]]:
    """(|found - signed| / |signed|, name) for each tensor of two files with the same names; inf for other shapes."""
    heads = ({tensor.name: tensor for tensor in tensors.read_header(path)} for path in (signed, found))
    theirs, ours = heads
    with signed.open("rb") as left, found.open("rb") as right:
        for name, tensor in theirs.items():
            if (tensor.dtype, tensor.shape) != (ours[name].dtype, ours[name].shape):
                yield math.inf, name
                continue
            apart = length = 0.0
            pieces = zip(tensors.values(left, tensor), tensors.values(right, ours[name]), strict=True)
            for one, other in pieces:
                apart = math.hypot(apart, math.dist(one, other))
                length = math.hypot(length, *one)
            far = apart / length if length else (0.0 if apart == 0 else math.inf)
            yield (far if math.isfinite(far) else math.inf), name


def apart(one: object, other: object) -> float:
    """The largest relative difference of two objects' numbers; inf where keys or words differ, or one has none."""
    if not isinstance(one, dict) or not isinstance(other, dict) or one.keys() != other.keys():
        return math.inf
    far = 0.0
    for key, mine in one.items():
        yours = other[key]
        if isinstance(mine, int | float) and isinstance(yours, int | float):
            scale = max(abs(mine), abs(yours))
            far = max(far, abs(mine - yours) / scale if scale else 0.0)
        elif mine != yours:
            return math.inf
    return far
