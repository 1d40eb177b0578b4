"""Answers to questions of trust: PASS, FAIL, and UNKNOWN, which is never folded into either; and which question it was.

Law: a report FAILs if any check does; else it is UNKNOWN if any check is, or if there is none; else it PASSes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from registry.errors import GlasshouseError, Malformed, Unavailable, VerificationError

MAX_TOLD = 3
AGAINST = (VerificationError, Malformed)
"""The errors that speak against what was looked at."""


class Verdict(StrEnum):
    """The three answers, and the exit code of each."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"

    @property
    def exit_code(self) -> int:
        """0 holds, 1 does not hold, 3 could not check."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.UNKNOWN: 3}[self]

    @classmethod
    def of(cls, problem: GlasshouseError) -> Verdict:
        """What `problem` says of the thing that was looked at: FAIL where it is one of AGAINST, else UNKNOWN."""
        return cls.FAIL if isinstance(problem, AGAINST) else cls.UNKNOWN


class Step(IntEnum):
    """The questions, in the order in which they are asked: 0 to 7 by verification, 8 and 9 by a replay."""

    BOUNDS = 0
    """Whether the files may be looked at at all, before anything is parsed, and what each of them is."""
    PLACE = 1
    """Where the release was read: all of it at one commit."""
    BYTES = 2
    """Whether every file has its signed size and digest."""
    SIGNATURES = 3
    """Whether each bundle holds, by a signer whom the policy names."""
    COMPLETE = 4
    """Whether every attestation that must be there is, and speaks of this release."""
    LINEAGE = 5
    """Whether every link from the weights back to the data holds."""
    POLICY = 6
    """Whether the release has everything else that the policy asks for."""
    STATUS = 7
    """Whether the release still stands."""
    CHAIN = 8
    """Whether the chain of checkpoints is plausible, before anything is replayed."""
    REPLAY = 9
    """Whether training a segment again gives the same."""

    @property
    def word(self) -> str:
        """Its name, such as "bytes"."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer."""

    step: Step
    """Which question it was."""
    verdict: Verdict
    """The answer."""
    subject: str
    """What was looked at: a path, a bundle, a reference."""
    reason: str
    """What was found; for FAIL and UNKNOWN also what was expected."""

    @property
    def name(self) -> str:
        """The step's word, such as "bytes"."""
        return self.step.word

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "step": int(self.step),
            "name": self.name,
            "verdict": str(self.verdict),
            "subject": self.subject,
            "reason": self.reason,
        }


def ask(step: Step, subject: str, question: Callable[[], str]) -> Check:
    """The answer of `step` on `subject`: PASS with what `question` says it found, or by `Verdict.of` what it raises."""
    try:
        return Check(step, Verdict.PASS, subject, question())
    except GlasshouseError as problem:
        return Check(step, Verdict.of(problem), subject, problem.message)


@dataclass(frozen=True, slots=True)
class StepSummary:
    """The checks of one step, taken together, as a person reads them first."""

    step: Step
    """Which step."""
    verdict: Verdict
    """The verdict over its checks."""
    words: str
    """What was found, in half a line."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True, slots=True)
class Established:
    """What a verification that passed has shown: who signed what, made from which commit and data."""

    signer: str
    """Who signed, in words."""
    release: str
    """`owner/name@version`."""
    commit: str
    """The git commit of its source, in full."""
    data_root: str | None
    """The Merkle root over its data, as the signed data statement has it; None where there is none."""
    unstated: tuple[str, ...] = ()
    """What it has no record of, so that nothing is claimed."""

    def __str__(self) -> str:
        data = f" and data with Merkle root {self.data_root[:16]}…" if self.data_root else ""
        rest = f" Not stated: {', '.join(self.unstated)}." if self.unstated else ""
        return f"{self.signer} signed {self.release}, made from commit {self.commit[:12]}{data}.{rest}"


@dataclass(frozen=True, slots=True)
class Report:
    """The checks of one verification, in the order they were made."""

    subject: str
    """The reference of what was verified."""
    checks: tuple[Check, ...]
    """Every question with its answer, in order."""
    steps: tuple[StepSummary, ...] = field(default=(), compare=False)
    """The same, a line for each step."""
    established: Established | None = None
    """What was shown; None unless it passed."""

    @property
    def verdict(self) -> Verdict:
        """The verdict over all checks, by the law above."""
        return overall(check.verdict for check in self.checks)

    def require(self) -> None:
        """Do nothing where the verdict is PASS. Raises FailedReport for FAIL, and UnknownReport for UNKNOWN."""
        match self.verdict:
            case Verdict.FAIL:
                raise FailedReport(self)
            case Verdict.UNKNOWN:
                raise UnknownReport(self)

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "subject": self.subject,
            "verdict": str(self.verdict),
            "checks": [check.as_json() for check in self.checks],
        }


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict over several, by the law above."""
    found = set(verdicts)
    if Verdict.FAIL in found:
        return Verdict.FAIL
    if Verdict.UNKNOWN in found or not found:
        return Verdict.UNKNOWN
    return Verdict.PASS


class FailedReport(VerificationError):
    """A release was verified, and it does not hold."""

    def __init__(self, report: Report, *, mend: str | None = None) -> None:
        usual = "do not load it; tell its maintainer, by another way than the Hub"
        super().__init__(_amiss(report, "failed"), mend=mend or usual)
        self.report = report
        """Each check, with what was found and what was expected."""


class UnknownReport(Unavailable):
    """A release was looked at, and too little speaks for it to say that it holds."""

    def __init__(self, report: Report) -> None:
        mend = "bring what is missing, which the message names, before it is loaded"
        super().__init__(_amiss(report, "could not be made"), mend=mend)
        self.report = report
        """Each check, with what is missing."""


def _amiss(report: Report, what: str) -> str:
    """How many checks of the verdict's kind there are, and what the first of them found."""
    found = [check for check in report.checks if check.verdict is report.verdict]
    told = [f"step {int(check.step)} {check.name}, {check.subject}: {check.reason}" for check in found[:MAX_TOLD]]
    more = ["…"] if len(found) > MAX_TOLD else []
    return f"{report.subject}: {len(found)} of {len(report.checks)} checks {what}: {'; '.join(told + more)}"
