"""How the figures that came out compare with those that were signed, record by record.

BITWISE      the same bytes
WITHIN       of the same conditions, and each figure within the stated tolerance, relative to itself
DIFFERENT    anything else
UNSUPPORTED  by another version of the harness: whether its tasks are the same is not known

Conditions are all that a record says beside its figures: weights, tokens, tasks with their digests, settings. The text
that a model wrote is one, where no tolerance is stated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from registry import canonical
from registry.attest.audits import ReevaluationVerdict
from registry.audit import compare, nearness
from registry.digest import sha256_file
from registry.errors import GlasshouseError
from registry.records import dvc_metrics, layout
from registry.records.evaluation import Evaluation
from registry.records.harness import HarnessEvaluation
from registry.records.rebuild import DeclaredOutput
from registry.records.record import Record, Sha256

MAX_RECORD = 64 << 20
MAX_FIGURES = 1000
"""So many figures of a file of DVC's metrics are told; all of them are compared."""
MAX_NAME = 200
STDERR = "standard error of "
Number = Annotated[float, Field(allow_inf_nan=False)]


class RemeasuredFigure(Record):
    """A figure, as it was signed and as it came out."""

    name: str
    """What it is called."""
    signed: Number | None
    """What the release says; None where it has none."""
    found: Number | None
    """What came out; None where nothing did."""


class RemeasuredRecord(Record):
    """A file of figures."""

    path: str
    """In the release."""
    verdict: ReevaluationVerdict
    """How it compares."""
    signed: Sha256
    """Its digest."""
    found: Sha256 | None
    """The digest of what came out; None where nothing did."""
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """How far apart a figure could be, relatively: the auditor's, or what the release states, if that is more."""
    reason: str
    """In words; empty for BITWISE."""
    figures: tuple[RemeasuredFigure, ...]
    """Each figure; of DVC's metrics those that stand in maps, and at most MAX_FIGURES; none where nothing is read."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A record of figures, taken apart."""

    figures: Mapping[str, float]
    conditions: Mapping[str, Any]
    tolerance: float
    version: str | None = None


def compared(
    path: str, signed: Path, found: Path, tolerance: float, declared: DeclaredOutput | None = None
) -> RemeasuredRecord:
    """The record at `path` of the release, against what came out.

    signed, found: the two files; the second need not be there.  tolerance: the auditor's.  declared: what the release
    declares of the file. Raises GlasshouseError where the signed file cannot be read, and nothing for the other.
    """
    if path not in _READERS:
        return _plainly(path, signed, found, tolerance, declared)
    digests = sha256_file(signed), sha256_file(found) if found.is_file() else None
    theirs = _READERS[path](signed)
    allowed = max(tolerance, theirs.tolerance)
    if digests[1] is None:
        return _record(path, "DIFFERENT", digests, allowed, "it did not come out", theirs.figures, {})
    try:
        ours = _READERS[path](found)
    except GlasshouseError as problem:
        return _record(path, "DIFFERENT", digests, allowed, problem.message, theirs.figures, {})
    verdict: ReevaluationVerdict
    if digests[0] == digests[1]:
        verdict, reason = "BITWISE", ""
    else:
        verdict, reason = _judged(theirs, ours, allowed)
    return _record(path, verdict, digests, allowed, reason, theirs.figures, ours.figures)


def _judged(theirs: _Read, ours: _Read, tolerance: float) -> tuple[ReevaluationVerdict, str]:
    if theirs.version != ours.version:
        return "UNSUPPORTED", f"lm_eval {theirs.version} measured there, {ours.version} here"
    for name in sorted(theirs.conditions.keys() | ours.conditions.keys()):
        if theirs.conditions.get(name) != ours.conditions.get(name) and not (name == "sample" and tolerance):
            return "DIFFERENT", f"it is not the same evaluation: {name} differs"
    for name in sorted(theirs.figures.keys() | ours.figures.keys()):
        one, other = theirs.figures.get(name), ours.figures.get(name)
        if one is None or other is None or compare.apart({name: one}, {name: other}) > tolerance:
            return "DIFFERENT", f"{name} is {_shown(one)} as signed, {_shown(other)} here"
    return "WITHIN", f"every figure within {tolerance:g}, relative"


def _shown(figure: float | None) -> str:
    return "missing" if figure is None else f"{figure:.10g}"


def _plainly(
    path: str, signed: Path, found: Path, tolerance: float, declared: DeclaredOutput | None
) -> RemeasuredRecord:
    """A file of DVC's metrics, in whatever format."""
    rtol, atol = (max(tolerance, declared.rtol), declared.atol) if declared else (tolerance, 0.0)
    digests = sha256_file(signed), sha256_file(found) if found.is_file() else None
    theirs, ours = _numbers(signed), _numbers(found)
    if digests[0] == digests[1]:
        return _record(path, "BITWISE", digests, rtol, "", theirs, ours)
    if digests[1] is None:
        return _record(path, "DIFFERENT", digests, rtol, "it did not come out", theirs, ours)
    far = nearness.figures(signed, found, rtol, atol)
    if far is not None:
        return _record(path, "WITHIN", digests, rtol, f"its figures are apart by {far:.3g}", theirs, ours)
    for name in sorted(theirs.keys() | ours.keys()):
        one, other = theirs.get(name), ours.get(name)
        if one is None or other is None or not nearness.near(one, other, rtol, atol):
            reason = f"{name[:MAX_NAME]} is {_shown(one)} as signed, {_shown(other)} here"
            return _record(path, "DIFFERENT", digests, rtol, reason, theirs, ours)
    return _record(path, "DIFFERENT", digests, rtol, "what stands beside its figures differs", theirs, ours)


def _numbers(path: Path) -> dict[str, float]:
    """The figures of a file of DVC's metrics; none where it is not there, or in no format that is read."""
    try:
        found = dvc_metrics.numbers(dvc_metrics.read(path, max_bytes=nearness.MAX_BYTES))
    except GlasshouseError:
        return {}
    return dict(sorted(found.items())[:MAX_FIGURES])


def _record(
    path: str,
    verdict: ReevaluationVerdict,
    digests: tuple[str, str | None],
    tolerance: float,
    reason: str,
    theirs: Mapping[str, float],
    ours: Mapping[str, float],
) -> RemeasuredRecord:
    figures = tuple(
        RemeasuredFigure(name=name, signed=theirs.get(name), found=ours.get(name))
        for name in sorted(theirs.keys() | ours.keys())
    )
    return RemeasuredRecord(
        path=path, verdict=verdict, signed=digests[0], found=digests[1], tolerance=tolerance, reason=reason,
        figures=figures,
    )  # fmt: skip


def _evaluation(path: Path) -> _Read:
    said = Evaluation.read(path, max_bytes=MAX_RECORD)
    whole = said.as_json()
    baselines = {
        f"{name} baseline: {metric}": float(value)
        for name, row in whole["baselines"].items()
        for metric, value in row.items()
    }
    figures = {name: float(value) for name, value in whole["metrics"].items()} | baselines
    return _Read(figures, {name: whole[name] for name in ("weights", "tokens", "validation", "sample")}, 0.0)


def _harness(path: Path) -> _Read:
    said = HarnessEvaluation.read(path, max_bytes=MAX_RECORD)
    figures, conditions = dict(said.figures), {"weights": said.weights, "settings": said.settings.as_json()}
    rows = [(one.task, one.figures, one.as_json()) for one in said.tasks]
    rows += [(one.group, one.figures, one.as_json()) for one in said.groups]
    for name, found, whole in rows:
        for figure in found:
            if figure.stderr is not None:
                figures[f"{STDERR}{name}.{figure.name},{figure.answers}"] = figure.stderr
        whole["figures"] = [{**row, "value": None, "stderr": row["stderr"] is None} for row in whole["figures"]]
        conditions[f"the task {name}" if "task" in whole else f"the group {name}"] = canonical.digest(whole)
    return _Read(figures, conditions, said.settings.tolerance, said.lm_eval)


_READERS = {layout.EVALUATION: _evaluation, layout.HARNESS: _harness}
