"""The verdict of an audit as a file, and the file as a signed statement.

verdict.json    the in-toto statement, not yet signed, and the details that it rests on
NAME.sigstore.json    the statement in a bundle, to be published beside the release or handed to those who verify it
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from registry import canonical, suffixes
from registry.attest.audits import Replay
from registry.attest.predicates import Predicate, Rebuild
from registry.attest.signature import Signer
from registry.attest.statement import Statement
from registry.audit.rebuild_verdict import RebuildOutcome
from registry.audit.replay_verdict import ReplayOutcome
from registry.audit.subject import Audited
from registry.errors import InputError, Refused
from registry.files import write_atomic
from registry.records.record import Record

KINDS: tuple[type[Predicate], ...] = (Rebuild, Replay)
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
    """What it rests on. The reason of a rebuild's statement names their digest."""

    def signable(self) -> Statement:
        """The statement, held to its model. Raises InputError unless it is one that an auditor makes."""
        statement = Statement.parse(canonical.dumps(self.statement))
        kind = next((kind for kind in KINDS if kind.is_of(statement)), None)
        if kind is None:
            raise InputError(
                f"a statement of {statement.predicate_type} is not an auditor's to sign",
                mend="make a verdict: glasshouse audit rebuild REF --output verdict.json",
            )
        predicate = kind.of(statement)
        if isinstance(predicate, Rebuild) and not predicate.reason.endswith(f"sha256:{canonical.digest(self.details)}"):
            raise Refused(
                "the details are not those that the statement's reason names",
                mend="a verdict is not edited: run `glasshouse audit rebuild` again",
            )
        return statement


def of_rebuild(audited: Audited, outcome: RebuildOutcome) -> VerdictFile:
    """The verdict of a rebuild."""
    return _verdict(outcome.statement.about([audited.subject]), outcome.details.as_json())


def of_replay(audited: Audited, outcome: ReplayOutcome) -> VerdictFile:
    """The verdict of a replay."""
    return _verdict(outcome.statement.about([audited.subject]), outcome.report.as_json())


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
