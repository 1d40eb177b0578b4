"""How what was rebuilt compares with what was released, file by file.

    BITWISE     the same bytes
    TENSORS     the same tensors, in a file that is laid out otherwise
    WITHIN      within a stated tolerance: tensors by the length of their difference relative to their own, figures
                relative to themselves
    DIFFERENT   anything else, also a file that is missing or was never released

Which machine did it is no output: environment.json may differ, and is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from registry import canonical, tensors
from registry.attest.predicates import STRENGTH, RebuildVerdict
from registry.audit import chain_checks
from registry.digest import sha256_file
from registry.errors import GlasshouseError
from registry.manifest import walk
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.record import Record, Sha256
from registry.report import Verdict

JOINED_LATER = frozenset(
    (layout.CARD, layout.RECORD, layout.STAGES, layout.PIPELINE, layout.LOCK, layout.PARAMS, layout.SIGNATURE)
)
"""Files of a release that say its version, commit or lock, or are the source's own: no stage's outputs."""
MAX_FIGURES = 64 << 20


class Output(Record):
    """One file that a stage wrote."""

    path: str
    """In the release."""
    verdict: Literal["BITWISE", "TENSORS", "WITHIN", "DIFFERENT"]
    counted: bool
    """Whether the whole verdict depends on it."""
    signed: Sha256 | None
    """None: it was never released."""
    found: Sha256 | None
    """None: it did not come out."""
    reason: str
    """In words; empty for BITWISE."""


def outputs(release: Path, draft: Path, tolerance: float) -> tuple[Output, ...]:
    """Every output in the directory of the release, and in the draft that was rebuilt, compared; sorted by path.

    tolerance: relative, >= 0; 0: none. Raises nothing for what a draft can hold but links and devices (InputError).
    """
    paths = {path for root in (release, draft) for path, _ in walk(root) if _is_output(path)}
    models = [_output(release, draft, path, tolerance, alike=False) for path in sorted(paths) if _is_weights(path)]
    # Records that hold digests and figures of the weights can be the same only where the weights are.
    alike = bool(models) and all(output.verdict in ("TENSORS", "WITHIN") for output in models)
    others = [_output(release, draft, path, tolerance, alike=alike) for path in paths if not _is_weights(path)]
    return tuple(sorted((*models, *others), key=lambda output: output.path))


def overall(found: tuple[Output, ...]) -> RebuildVerdict:
    """The weakest verdict of the outputs that count; DIFFERENT where there is none."""
    return max((output.verdict for output in found if output.counted), key=STRENGTH.index, default="DIFFERENT")


def answer(verdict: str) -> Verdict:
    """Whether a verdict speaks for the release, against it, or leaves it open."""
    match verdict:
        case "BITWISE" | "TENSORS" | "WITHIN":
            return Verdict.PASS
        case "DIFFERENT":
            return Verdict.FAIL
    return Verdict.UNKNOWN


def _is_output(path: str) -> bool:
    return path not in JOINED_LATER and not path.startswith(f"{layout.ATTESTATIONS}/")


def _is_weights(path: str) -> bool:
    return path.endswith(".safetensors")


def _output(release: Path, draft: Path, path: str, tolerance: float, *, alike: bool) -> Output:
    """One file. alike: the weights have the same tensors, or are within the tolerance."""
    signed, found = (sha256_file(root / path) if (root / path).is_file() else None for root in (release, draft))
    counted = path != layout.ENVIRONMENT
    verdict: Literal["BITWISE", "TENSORS", "WITHIN", "DIFFERENT"] = "DIFFERENT"
    reason = ""
    if signed is None or found is None:
        reason = "it was never released" if signed is None else "it did not come out"
    elif signed == found:
        verdict = "BITWISE"
    elif not counted:
        reason = "it says which machine did it, and is not counted"
    elif _is_weights(path):
        verdict, reason = weights(release / path, draft / path, tolerance)
    elif alike:
        verdict, counted, reason = _following(path, release / path, draft / path, tolerance)
    else:
        reason = "other bytes"
    return Output(path=path, verdict=verdict, counted=counted, signed=signed, found=found, reason=reason)


def weights(signed: Path, found: Path, tolerance: float) -> tuple[Literal["TENSORS", "WITHIN", "DIFFERENT"], str]:
    """How two files of tensors compare, and in which words: the first tensor that differs, and the farthest."""
    try:
        theirs, ours = tensors.tensor_digests(signed), tensors.tensor_digests(found)
        if theirs == ours:
            return "TENSORS", "every tensor is the same, the file is laid out otherwise"
        first = next(name for name in (*theirs, *ours) if theirs.get(name) != ours.get(name))
        if theirs.keys() != ours.keys():
            return "DIFFERENT", f"{first} is only in one of the two"
        distance, name = max(distances(signed, found))
    except GlasshouseError as problem:
        return "DIFFERENT", problem.message
    words = f"the first tensor that differs is {first}; the farthest is {name}, by {distance:.3g} of its length"
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
            pieces = zip(chain_checks.values(left, tensor), chain_checks.values(right, ours[name]), strict=True)
            for one, other in pieces:
                apart = math.hypot(apart, math.dist(one, other))
                length = math.hypot(length, *one)
            far = apart / length if length else (0.0 if apart == 0 else math.inf)
            yield (far if math.isfinite(far) else math.inf), name


def _following(
    path: str, signed: Path, found: Path, tolerance: float
) -> tuple[Literal["WITHIN", "DIFFERENT"], bool, str]:
    """A record that follows from weights which are alike: (verdict, whether it counts, why)."""
    try:
        if path == layout.CURVE:
            return "WITHIN", False, "a picture of the metrics, which are compared instead"
        if path == layout.CHECKPOINTS:
            theirs, ours = (
                [(entry.step, entry.positions) for entry in Chain.read(place).entries] for place in (signed, found)
            )
            return ("WITHIN" if theirs == ours else "DIFFERENT"), True, "its digests follow from the weights"
        if path == layout.METRICS:
            pairs: Iterator[tuple[Any, ...]] = zip_longest(chain_checks.metrics(signed), chain_checks.metrics(found))
        elif path == layout.EVALUATION:
            pairs = iter([tuple(canonical.read(place, max_bytes=MAX_FIGURES)["metrics"] for place in (signed, found))])
        else:
            return "DIFFERENT", True, "other bytes, and it does not follow from the weights"
        far = max((apart(one, other) for one, other in pairs), default=math.inf)
    except (GlasshouseError, KeyError, TypeError) as problem:
        return "DIFFERENT", True, f"it cannot be compared: {problem}"
    return ("WITHIN" if far <= tolerance else "DIFFERENT"), True, f"its figures are apart by {far:.3g} of themselves"


def apart(one: object, other: object) -> float:
    """The largest relative difference of two objects' numbers; inf where keys or words differ, or one is no object."""
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
