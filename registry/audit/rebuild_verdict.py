"""The last step of a rebuild: how every file compares, as one verdict.

Law: what a statement says of the verdict, and why, follows from its details alone (`resting_on`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from registry import canonical
from registry.attest.predicates import Rebuild, RebuildVerdict, Rebuilt
from registry.audit import stages
from registry.audit.outputs import Output, overall
from registry.audit.sandbox import BARE
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
    """The machine and the software here; None where the profile does not hold, or none is declared."""
    cannot: tuple[str, ...]
    """Why other bits would accuse nobody."""
    profiled: bool = True
    """Whether the release says in which numeric profile it was made; left out of the JSON where it does."""
    walled: bool = True
    """Whether the code was walled in, so that it could not copy what it was to make; left out of the JSON where so."""
    base: str | None = None
    """The model that it began with, which was not rebuilt, and whose files came from where; left out of the JSON where
    it began with none."""

    def as_json(self) -> dict[str, Any]:
        """The JSON value of this record."""
        value = super().as_json() | {"outputs": [output.as_json() for output in self.outputs]}
        for name in ("profiled", "walled"):
            if value[name]:
                del value[name]
        if self.base is None:
            del value["base"]
        return value

    @property
    def let(self) -> float:
        """How far apart, relatively, an output was let be: the auditor's tolerance, or more where more was declared."""
        return max([self.tolerance, *(output.apart for output in self.outputs if output.apart is not None)])

    @property
    def verdict(self) -> RebuildVerdict:
        """The weakest verdict of the outputs that count; UNSUPPORTED where this machine can tell nothing, where other
        bits would accuse nobody, or where the same bits could have been copied."""
        found = overall(self.outputs)
        lost = self.profiled and self.environment is None
        empty = bool(self.cannot) if found == "DIFFERENT" else not self.walled
        return "UNSUPPORTED" if lost or empty else found


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
        "tolerance": details.let,
        "outputs": _named(details.outputs) or None,
    }


def done_in(place: Workshop, started: datetime) -> dict[str, Any]:
    """The fields of a statement that follow from where and when it was done: in `place`, from `started` until now."""
    profile = place.audited.chain.profile if place.profiled else None
    return {
        "profile": f"{profile.name} sha256:{profile.digest}" if profile else "none is declared",
        "machine": place.machine[:MAX_REASON],
        "started_at": rfc3339(started),
        "finished_at": rfc3339(datetime.now(UTC)),
        "source": place.audited.record.source.commit,
        "environment": place.setup.kind,
        "walled": place.sandbox.bubblewrap,
    }


def outcome(place: Workshop, details: Details, started: datetime) -> RebuildOutcome:
    """The verdict on what was rebuilt in `place`.  started: when that began."""
    packages = place.audited.packages
    statement = Rebuild(
        **resting_on(details),
        **done_in(place, started),
        command=stages.command(place),
        packages=packages.words if packages else None,
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
        words.append(f"within {details.let:g}, relative")
        words += [f"{output.path}: {output.reason}" for output in details.outputs if output.apart is not None]
    if details.verdict == "UNSUPPORTED":
        why = [*details.cannot, *([] if details.walled else [BARE])]
        words.append(f"this machine cannot tell: {'; '.join(why)}")
    if details.base is not None:
        words.append(f"given the base {details.base}")
    return "; ".join([*words, *details.departs])
