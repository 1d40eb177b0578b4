"""The last step of a replay: everything that was found, as one verdict.

Law: what a statement says of the verdict, and why, follows from its checks and its segments alone (`concluded`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import get_args

from registry.attest.audits import Challenge, Replay, ReplayedSegment, ReplayVerdict
from registry.audit.compare import answer
from registry.audit.look import Looked
from registry.audit.subject import Audited, rfc3339
from registry.audit.workshop import Options
from registry.report import Check, Report, Step, Verdict

WORDS: tuple[ReplayVerdict, ...] = get_args(ReplayVerdict)
MAX_REASON = 1024


@dataclass(frozen=True, slots=True)
class Remade:
    """One thing that was made anew, and how it compares with what was signed."""

    subject: str
    """What it is."""
    verdict: ReplayVerdict
    """How it compares."""
    reason: str
    """In words."""
    segment: ReplayedSegment | None = None
    """What the statement says of a segment; None for anything else."""

    @classmethod
    def of(cls, segment: ReplayedSegment) -> Remade:
        """A segment that was trained again."""
        subject = f"segment {segment.number}: step {segment.after} to {segment.until}"
        return cls(subject, segment.verdict, segment.reason, segment)

    @property
    def check(self) -> Check:
        """The same as an answer."""
        return Check(Step.REPLAY, answer(self.verdict), self.subject, f"{self.verdict}: {self.reason}")


@dataclass(frozen=True, slots=True)
class Findings:
    """What a replay has found."""

    looked: Looked
    """What was seen before any code ran."""
    machine: str
    """Where it ran, in words."""
    remade: tuple[Remade, ...] = ()
    """What was made anew, in that order."""

    def also(self, more: Iterable[Remade]) -> Findings:
        """These findings, and more."""
        return replace(self, remade=(*self.remade, *more))

    @property
    def checks(self) -> tuple[Check, ...]:
        """All of it as answers."""
        return (*self.looked.checks, *(one.check for one in self.remade))

    @property
    def segments(self) -> tuple[ReplayedSegment, ...]:
        """Those that were trained again."""
        return tuple(one.segment for one in self.remade if one.segment is not None)

    @property
    def failed(self) -> bool:
        """Whether anything is not as signed."""
        return any(check.verdict is Verdict.FAIL for check in self.checks)


def concluded(checks: Sequence[Check], segments: Sequence[ReplayedSegment]) -> tuple[ReplayVerdict, str]:
    """(verdict, why) of a replay in which these were the answers.

    DIFFERENT where anything fails; UNSUPPORTED where anything could not be told here; else the weakest of all that was
    made anew, UNAVAILABLE where nothing was. Why: what failed first.
    """
    said = [word for check in checks if check.step is Step.REPLAY for word in WORDS if _says(check, word)]
    weakest: ReplayVerdict = max(said, key=WORDS.index, default="UNAVAILABLE")
    failed = any(check.verdict is Verdict.FAIL for check in checks)
    verdict: ReplayVerdict = "DIFFERENT" if failed else "UNSUPPORTED" if "UNSUPPORTED" in said else weakest
    words = [
        f"{check.subject}: {check.reason}"
        for kind in (Verdict.FAIL, Verdict.UNKNOWN)
        for check in checks
        if check.verdict is kind
    ]
    same = sum(segment.verdict in ("BITWISE", "TENSORS") for segment in segments)
    return verdict, "; ".join([*words, f"{same} of {len(segments)} replayed segments came out the same"])[:MAX_REASON]


def _says(check: Check, verdict: ReplayVerdict) -> bool:
    """Whether a check is that of something made anew which came to `verdict` (`Remade.check`)."""
    return check.reason.startswith(f"{verdict}: ")


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a replay found."""

    statement: Replay
    """What is to be signed."""
    report: Report
    """The same and the cheap checks, for a reader."""


def outcome(found: Findings, options: Options, tolerance: float, started: datetime) -> ReplayOutcome:
    """The verdict on `found`.  options, tolerance: what the auditor decided.  started: when the audit began."""
    audited: Audited = found.looked.audited
    asked: Challenge = found.looked.asked
    profile = audited.chain.profile
    verdict, reason = concluded(found.checks, found.segments)
    statement = Replay(
        verdict=verdict,
        reason=reason,
        source=audited.record.source.commit,
        tokens=audited.chain.tokens,
        challenge=asked,
        replayed=found.segments,
        environment=options.setup.kind,
        walled=options.bubblewrap,
        tolerance=tolerance or None,
        profile=f"{profile.name} sha256:{profile.digest}",
        machine=found.machine[:MAX_REASON],
        started_at=rfc3339(started),
        finished_at=rfc3339(datetime.now(UTC)),
    )
    return ReplayOutcome(statement, Report(audited.subject.name, found.checks))
