"""The verdict of an audit as a file, and the file as a signed statement.

verdict.json    the in-toto statement, not yet signed, and the details that it rests on
NAME.sigstore.json    the statement in a bundle, to be published beside the release or handed to those who verify it
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import Field

from registry import canonical, suffixes
from registry.attest.audits import Reevaluation, Replay
from registry.attest.predicates import Predicate, Rebuild
from registry.attest.signature import Signer
from registry.attest.statement import Statement
from registry.audit import evaluation_verdict
from registry.audit.evaluation_verdict import EvaluationDetails, EvaluationOutcome
from registry.audit.rebuild_verdict import Details, RebuildOutcome, resting_on
from registry.audit.replay_verdict import Remade, ReplayOutcome, concluded
from registry.audit.subject import Audited
from registry.errors import InputError, Refused
from registry.files import write_atomic
from registry.records.record import Record
from registry.report import Check, Step, Verdict

KINDS: tuple[type[Predicate], ...] = (Rebuild, Replay, Reevaluation)
"""What an auditor signs."""


class VerdictFile(Record):
    """verdict.json.

    Law: `VerdictFile.from_bytes(v.to_bytes(), name=...) == v`.
    """

    schema_: Literal["glasshouse.verdict/v1"] = Field("glasshouse.verdict/v1", alias="schema")
    """The format, with its version."""
    statement: dict[str, Any]
    """The in-toto statement that `audit attest` signs."""
    details: dict[str, Any]
    """What it rests on. The reason of a statement on a rebuild or an evaluation names their digest."""

    def signable(self) -> Statement:
        """The statement, held to its model and to its details.

        Raises InputError unless it is one that an auditor makes, and Refused where it does not say what its details
        come to: one of the two was edited.
        """
        statement = Statement.parse(canonical.dumps(self.statement))
        kind = next((kind for kind in KINDS if kind.is_of(statement)), None)
        if kind is None:
            raise InputError(
                f"a statement of {statement.predicate_type} is not an auditor's to sign",
                mend="make a verdict: glasshouse audit rebuild REF --output verdict.json",
            )
        match kind.of(statement):
            case Rebuild() as predicate:
                _check_rebuild(predicate, self.details)
            case Replay() as predicate:
                _check_replay(predicate, self.details, statement.subjects[0].name)
            case Reevaluation() as predicate:
                _check_evaluation(predicate, self.details)
        return statement


class ToldCheck(Record):
    """A check, as the details of a replay tell it."""

    step: int
    """The number of the question."""
    name: str
    """Its word."""
    verdict: Literal["PASS", "FAIL", "UNKNOWN"]
    """The answer."""
    subject: str
    """What was looked at."""
    reason: str
    """What was found."""

    @property
    def check(self) -> Check:
        """The same as an answer. Raises Refused for a question that nobody asks."""
        if self.step not in list(Step) or Step(self.step).word != self.name:
            _refuse(f"the details answer a question {self.step}, {self.name[:80]!r}, that no audit asks")
        return Check(Step(self.step), Verdict(self.verdict), self.subject, self.reason)


class ToldReport(Record):
    """The details of a replay."""

    subject: str
    """The release."""
    verdict: Literal["PASS", "FAIL", "UNKNOWN"]
    """The verdict over all checks."""
    checks: tuple[ToldCheck, ...]
    """Every question with its answer."""


def _check_rebuild(said: Rebuild, found: dict[str, Any]) -> None:
    """Raise Refused unless the statement says what its details come to."""
    _check_named(said.reason, found)
    details = Details.from_json(found, name="the details")
    for output in details.outputs:
        same = output.signed is not None and output.signed == output.found
        if (output.verdict == "BITWISE") is not same:
            _refuse(f"the details call {output.path[:200]} {output.verdict}, and its digests do not")
    _check_resting(said, resting_on(details))


def _check_evaluation(said: Reevaluation, found: dict[str, Any]) -> None:
    """Raise Refused unless the statement says what its details come to."""
    _check_named(said.reason, found)
    details = EvaluationDetails.from_json(found, name="the details")
    for record in details.records:
        if (record.verdict == "BITWISE") is not (record.signed == record.found):
            _refuse(f"the details call {record.path[:200]} {record.verdict}, and its digests do not")
    _check_resting(said, evaluation_verdict.resting_on(details))


def _check_named(reason: str, found: dict[str, Any]) -> None:
    if not reason.endswith(f"sha256:{canonical.digest(found)}"):
        _refuse("the details are not those that the statement's reason names")


def _check_resting(said: Predicate, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if getattr(said, name) != value:
            _refuse(f"the statement's {name} is {_shown(getattr(said, name))}, its details come to {_shown(value)}")


def _check_replay(said: Replay, found: dict[str, Any], subject: str) -> None:
    """Raise Refused unless the statement says what its details come to, segment by segment."""
    report = ToldReport.from_json(found, name="the details")
    checks = tuple(row.check for row in report.checks)
    if report.subject != subject:
        _refuse(f"the statement is of {subject[:200]}, its details are of {report.subject[:200]}")
    segments = {Remade.of(segment).check for segment in said.replayed}
    told = {check for check in checks if check.step is Step.REPLAY and check.subject.startswith("segment ")}
    if told != segments:
        _refuse("the segments of the statement are not those of its details")
    verdict, reason = concluded(checks, said.replayed)
    if said.verdict != verdict or said.reason != reason:
        _refuse(
            f"the statement says {said.verdict}, {_shown(said.reason)}; its details come to {verdict}, {_shown(reason)}"
        )


def _shown(value: object) -> str:
    return repr(value)[:200]


def _refuse(found: str) -> NoReturn:
    raise Refused(found, mend="a verdict is not edited: run the audit again, and sign what it writes")


def of_rebuild(audited: Audited, outcome: RebuildOutcome) -> VerdictFile:
    """The verdict of a rebuild."""
    return _verdict(outcome.statement.about([audited.subject]), outcome.details.as_json())


def of_replay(audited: Audited, outcome: ReplayOutcome) -> VerdictFile:
    """The verdict of a replay."""
    return _verdict(outcome.statement.about([audited.subject]), outcome.report.as_json())


def of_evaluation(audited: Audited, outcome: EvaluationOutcome) -> VerdictFile:
    """The verdict on an evaluation that was run again."""
    return _verdict(outcome.statement.about([audited.subject]), outcome.details.as_json())


def sign(path: Path, signer: Signer, into: Path | None = None) -> Path:
    """Sign the verdict in the file at `path`; the bundle's path: `into`, or beside it.

    Raises InputError or Refused for a file that is not a verdict, and what the signer raises.
    """
    statement = VerdictFile.read(path).signable()
    target = into or path.with_name(path.name.removesuffix(".json") + suffixes.BUNDLE)
    write_atomic(target, signer.sign(statement))
    return target


def _verdict(statement: Statement, details: dict[str, Any]) -> VerdictFile:
    return VerdictFile(statement=canonical.parse(statement.to_bytes(), name="statement"), details=details)
