"""The last step of a rebuild: how every file compares, as one verdict.

Law: what a statement says of the verdict, and why, follows from its details alone (`resting_on`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from registry import canonical
from registry.attest.predicates import Rebuild, RebuildVerdict, Rebuilt
from registry.audit.outputs import Output, overall
from registry.audit.subject import rfc3339
from registry.audit.workshop import Workshop
from registry.records.environment import Environment
from registry.records.record import Record

MAX_REASON = 900
"""Characters of a reason, so that the digest of the details still has room in the statement."""


class Details(Record):
    """What a rebuild verdict rests on."""

    outputs: tuple[Output, ...]
    """Every file compared."""
    departs: tuple[str, ...]
    """Where it first departs, in words: stage, file, tensor, checkpoint, step. Empty where nothing does."""
    tolerance: float
    """Relative; 0: none was allowed."""
    environment: Environment | None
    """The machine and the software here; None where the profile does not hold."""
    cannot: tuple[str, ...]
    """Why other bits would accuse nobody."""

    @property
    def verdict(self) -> RebuildVerdict:
        """The weakest verdict of the outputs that count; UNSUPPORTED where this machine can tell nothing, or where
        other bits would accuse nobody."""
        found = overall(self.outputs)
        return "UNSUPPORTED" if self.environment is None or (found == "DIFFERENT" and self.cannot) else found


@dataclass(frozen=True, slots=True)
class RebuildOutcome:
    """What a rebuild found."""

    statement: Rebuild
    """What is to be signed."""
    details: Details
    """What it rests on."""


def resting_on(details: Details) -> dict[str, Any]:
    """The fields of a statement that follow from `details` alone."""
    return {
        "verdict": details.verdict,
        "reason": f"{_reason(details)[:MAX_REASON]}; details sha256:{canonical.digest(details.as_json())}",
        "tolerance": details.tolerance,
        "outputs": _named(details.outputs) or None,
    }


def outcome(place: Workshop, details: Details, started: datetime) -> RebuildOutcome:
    """The verdict on what was rebuilt in `place`.  started: when that began."""
    profile = place.audited.chain.profile
    statement = Rebuild(
        **resting_on(details),
        profile=f"{profile.name} sha256:{profile.digest}",
        machine=place.machine[:MAX_REASON],
        started_at=rfc3339(started),
        finished_at=rfc3339(datetime.now(UTC)),
        source=place.audited.record.source.commit,
        environment=place.setup.kind,
        walled=place.sandbox.bubblewrap,
    )
    return RebuildOutcome(statement, details)


def _named(found: tuple[Output, ...]) -> tuple[Rebuilt, ...]:
    """What the statement says of each output that counts."""
    return tuple(Rebuilt(path=one.path, verdict=one.verdict, sha256=one.found) for one in found if one.counted)


def _reason(details: Details) -> str:
    counts = ", ".join(
        f"{sum(output.verdict == word for output in details.outputs if output.counted)} {word}"
        for word in ("BITWISE", "TENSORS", "WITHIN", "DIFFERENT")
        if any(output.verdict == word for output in details.outputs if output.counted)
    )
    words = [f"{counts} of the outputs"] if counts else []
    if details.verdict == "WITHIN":
        words.append(f"within {details.tolerance:g}, relative")
    if details.verdict == "UNSUPPORTED":
        words.append(f"this machine cannot tell: {'; '.join(details.cannot)}")
    return "; ".join([*words, *details.departs])
