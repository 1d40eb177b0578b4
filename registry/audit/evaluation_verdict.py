"""The last step of evaluating again: how every figure compares, as one verdict.

Law: what a statement says of the verdict, and why, follows from its details alone (`resting_on`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry import canonical
from registry.attest.audits import Reevaluated, Reevaluation, ReevaluationVerdict
from registry.audit.rebuild_verdict import MAX_REASON, done_in
from registry.audit.remeasured import RemeasuredRecord
from registry.audit.sandbox import BARE
from registry.audit.workshop import Workshop
from registry.records.environment import Environment
from registry.records.record import Record

WEAKEST: tuple[ReevaluationVerdict, ...] = ("DIFFERENT", "UNSUPPORTED", "WITHIN", "BITWISE")
"""What decides, before what: a figure that does not hold is never outweighed."""


class EvaluationDetails(Record):
    """What the verdict on an evaluation rests on."""

    records: tuple[RemeasuredRecord, ...]
    """Every file of figures compared; empty where nothing was measured."""
    stages: tuple[str, ...]
    """The stages that measure."""
    departs: tuple[str, ...]
    """What they read that was made anew otherwise than it was: then nothing is measured on it."""
    tolerance: float
    """The auditor's, relative; 0: none was allowed."""
    environment: Environment | None
    """The machine and the software here; None where the profile does not hold, or none is declared."""
    cannot: tuple[str, ...]
    """Why other figures would accuse nobody."""
    profiled: bool
    """Whether the release says in which numeric profile it was made."""
    walled: bool
    """Whether the code was walled in, so that it could not copy what it was to find."""

    @property
    def verdict(self) -> ReevaluationVerdict:
        """The weakest verdict of the records; UNSUPPORTED where this machine, or what was made here, can tell nothing,
        where other figures would accuse nobody, or where the same could have been copied."""
        if (self.profiled and self.environment is None) or self.departs or not self.records:
            return "UNSUPPORTED"
        found = min((one.verdict for one in self.records), key=WEAKEST.index)
        empty = bool(self.cannot) if found == "DIFFERENT" else not self.walled
        return "UNSUPPORTED" if empty else found


@dataclass(frozen=True, slots=True)
class EvaluationOutcome:
    """What evaluating again found."""

    statement: Reevaluation
    """What is to be signed."""
    details: EvaluationDetails
    """What it rests on."""


def resting_on(details: EvaluationDetails) -> dict[str, Any]:
    """The fields of a statement that follow from `details` alone."""
    rows = tuple(Reevaluated(path=one.path, verdict=one.verdict, sha256=one.found) for one in details.records)
    return {
        "verdict": details.verdict,
        "reason": f"{_reason(details)[:MAX_REASON]}; details sha256:{canonical.digest(details.as_json())}",
        "tolerance": max([details.tolerance, *(one.tolerance for one in details.records)]),
        "records": rows or None,
        "stages": details.stages,
    }


def outcome(place: Workshop, details: EvaluationDetails, started: datetime) -> EvaluationOutcome:
    """The verdict on what was measured in `place`.  started: when that began."""
    return EvaluationOutcome(Reevaluation(**resting_on(details), **done_in(place, started)), details)


def _reason(details: EvaluationDetails) -> str:
    figures = sum(len(one.figures) for one in details.records)
    words = [f"{figures} figures of {', '.join(one.path for one in details.records)}"] if details.records else []
    if details.verdict == "UNSUPPORTED":
        why = [*details.departs, *details.cannot, *([] if details.walled else [BARE])]
        words += [f"this audit cannot tell: {'; '.join(why)}"] if why else []
    words += [f"{one.path}: {one.reason}" for one in details.records if one.reason]
    return "; ".join(words) or "nothing was measured"
