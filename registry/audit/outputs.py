"""Every file that was rebuilt, against the one that was released; verdicts are those of compare.py.

A file that is missing, or was never released, is DIFFERENT. Which machine did it does not count: environment.json may
differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from registry import canonical
from registry.attest.predicates import STRENGTH, RebuildVerdict
from registry.audit import compare, metrics, nearness
from registry.digest import sha256_file
from registry.errors import GlasshouseError
from registry.manifest import walk
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.rebuild import DeclaredOutput
from registry.records.record import Record, Sha256
from registry.suffixes import SAFETENSORS

MAX_FIGURES = 64 << 20
OF_THE_MACHINE = (layout.ENVIRONMENT, layout.EMISSIONS)
"""Outputs that say which machine it was, and what it took: no two machines give the same."""
Compared = Literal["BITWISE", "TENSORS", "WITHIN", "DIFFERENT"]


class Output(Record):
    """One file that a stage wrote."""

    path: str
    """In the release."""
    verdict: Compared
    """How it compares."""
    counted: bool
    """Whether the whole verdict depends on it."""
    signed: Sha256 | None
    """None: it was never released."""
    found: Sha256 | None
    """None: it did not come out."""
    reason: str
    """In words; empty for BITWISE."""
    apart: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """How far apart they are, relatively, where that is within what the release declares; left out of the JSON else."""

    def as_json(self) -> dict[str, Any]:
        """The JSON value of this record."""
        value = super().as_json()
        if self.apart is None:
            del value["apart"]
        return value


def of_draft(release: Path, draft: Path) -> dict[str, Path]:
    """Every output in the directory of the release, and in the draft that was rebuilt: its path, and where it came out.

    Raises InputError for links and devices.
    """
    return {path: draft / path for root in (release, draft) for path, _ in walk(root) if _is_output(path)}


def compared(
    release: Path,
    made: Mapping[str, Path],
    tolerance: float,
    declared: Mapping[str, DeclaredOutput] = MappingProxyType({}),
) -> tuple[Output, ...]:
    """Every output of the release against what was rebuilt; sorted by path.

    made: by path in the release, where it came out.  tolerance: the auditor's, relative, >= 0; 0: none.  declared: by
    path, what the release declares of it. Raises nothing for what a stage can write.
    """
    asked = _Asked(release, made, tolerance, declared)
    models = [asked.output(path, alike=False) for path in sorted(made) if _is_weights(path)]
    # Records that hold digests and figures of the weights can be the same only where the weights are.
    alike = bool(models) and all(output.verdict in ("TENSORS", "WITHIN") for output in models)
    others = [asked.output(path, alike=alike) for path in made if not _is_weights(path)]
    return tuple(sorted((*models, *others), key=lambda output: output.path))


def overall(found: tuple[Output, ...]) -> RebuildVerdict:
    """The weakest verdict of the outputs that count; DIFFERENT where there is none."""
    return max((output.verdict for output in found if output.counted), key=STRENGTH.index, default="DIFFERENT")


def _is_output(path: str) -> bool:
    return not layout.is_joined_later(path) and not path.startswith(f"{layout.ATTESTATIONS}/")


def _is_weights(path: str) -> bool:
    return path.endswith(SAFETENSORS)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is compared, and how near it must be."""

    release: Path
    made: Mapping[str, Path]
    tolerance: float
    declared: Mapping[str, DeclaredOutput]

    def output(self, path: str, *, alike: bool) -> Output:
        """One file. alike: the weights have the same tensors, or are within the tolerance."""
        places = self.release / path, self.made[path]
        signed, found = (sha256_file(place) if place.is_file() else None for place in places)
        counted, far = path not in OF_THE_MACHINE, None
        verdict: Compared = "DIFFERENT"
        reason = ""
        if signed is None or found is None:
            reason = "it was never released" if signed is None else "it did not come out"
        elif signed == found:
            verdict = "BITWISE"
        elif not counted:
            reason = "it says which machine did it, and is not counted"
        elif _is_weights(path):
            verdict, reason = compare.weights(*places, self.tolerance)
        elif alike:
            verdict, counted, reason = _following(path, *places, self.tolerance)
        else:
            reason = "other bytes"
        if verdict == "DIFFERENT" and counted and signed and found and (far := self._apart(path)) is not None:
            verdict, reason = "WITHIN", f"within what the release declares, {self._near(path)}; apart by {far:.3g}"
        return Output(path=path, verdict=verdict, counted=counted, signed=signed, found=found, reason=reason, apart=far)

    def _apart(self, path: str) -> float | None:
        """How far apart the two are, relatively, if that is within what is declared; None where it is not."""
        near = self.declared.get(path)
        if near is None or not (near.rtol or near.atol):
            return None
        judge = nearness.arrays if _is_weights(path) else nearness.figures
        return judge(self.release / path, self.made[path], near.rtol, near.atol)

    def _near(self, path: str) -> str:
        return f"rtol {self.declared[path].rtol:g}, atol {self.declared[path].atol:g}"


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
