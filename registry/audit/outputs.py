"""Every file that was rebuilt, against the one that was released; verdicts are those of compare.py.

A file that is missing, or was never released, is DIFFERENT. Which machine did it does not count: environment.json may
differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

from registry import canonical
from registry.attest.predicates import STRENGTH, RebuildVerdict
from registry.audit import compare, metrics
from registry.digest import sha256_file
from registry.errors import GlasshouseError
from registry.manifest import walk
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.record import Record, Sha256
from registry.suffixes import SAFETENSORS

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
    """How it compares."""
    counted: bool
    """Whether the whole verdict depends on it."""
    signed: Sha256 | None
    """None: it was never released."""
    found: Sha256 | None
    """None: it did not come out."""
    reason: str
    """In words; empty for BITWISE."""


def compared(release: Path, draft: Path, tolerance: float) -> tuple[Output, ...]:
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


def _is_output(path: str) -> bool:
    return path not in JOINED_LATER and not path.startswith(f"{layout.ATTESTATIONS}/")


def _is_weights(path: str) -> bool:
    return path.endswith(SAFETENSORS)


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
        verdict, reason = compare.weights(release / path, draft / path, tolerance)
    elif alike:
        verdict, counted, reason = _following(path, release / path, draft / path, tolerance)
    else:
        reason = "other bytes"
    return Output(path=path, verdict=verdict, counted=counted, signed=signed, found=found, reason=reason)


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
            pairs: Iterator[tuple[Any, ...]] = zip_longest(metrics.lines(signed), metrics.lines(found))
        elif path == layout.EVALUATION:
            pairs = iter([tuple(canonical.read(place, max_bytes=MAX_FIGURES)["metrics"] for place in (signed, found))])
        else:
            return "DIFFERENT", True, "other bytes, and it does not follow from the weights"
        far = max((compare.apart(one, other) for one, other in pairs), default=math.inf)
    except (GlasshouseError, KeyError, TypeError) as problem:
        return "DIFFERENT", True, f"it cannot be compared: {problem}"
    return ("WITHIN" if far <= tolerance else "DIFFERENT"), True, f"its figures are apart by {far:.3g} of themselves"
