"""A release whose code an auditor may run: one that was verified before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from registry.attest.bundle import MAX_MODEL_BYTES
from registry.attest.predicates import Release
from registry.attest.statement import Subject
from registry.attest.verifier import Verifier
from registry.errors import InputError, Unavailable, VerificationError
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.project import Project
from registry.records.release_record import ReleaseRecord
from registry.report import Report, Step, Verdict


@dataclass(frozen=True, slots=True)
class Audited:
    """A verified release, and its records."""

    root: Path
    """Its directory."""
    subject: Subject
    """What the release statement speaks of."""
    logged_at: str | None
    """RFC 3339, when it was signed, as a log or a timestamp authority shows; None where a bare key signed it."""
    record: ReleaseRecord
    """What it says of itself."""
    chain: Chain
    """Its checkpoints."""
    environment: Environment
    """The machine and the software that trained it."""
    project: Project
    """How it is replayed, as its signed params.yaml says."""


def admit(root: Path, report: Report, verifier: Verifier) -> Audited:
    """The release at `root`, of which `report` is. Raises VerificationError or Unavailable unless it was verified.

    Steps up to lineage must PASS; what a policy asks for beyond (other rebuilders, say) does not keep one from looking.
    """
    for check in report.checks:
        if check.verdict is Verdict.FAIL or (check.verdict is Verdict.UNKNOWN and check.step <= Step.LINEAGE):
            kind = VerificationError if check.verdict is Verdict.FAIL else Unavailable
            raise kind(
                f"it does not verify, so none of its code is run: {check.name}: {check.subject}: {check.reason}",
                mend=f"glasshouse verify {report.subject} with the same options shows all of it",
            )
    data = (root / layout.RELEASE_ATTESTATION).read_bytes()
    verified = verifier.verify(data, name="release", max_bytes=MAX_MODEL_BYTES)
    Release.of(verified.statement)
    logged = verified.signer.signed_at
    return Audited(
        root=root,
        subject=verified.statement.subjects[0],
        logged_at=rfc3339(logged) if logged else None,
        record=ReleaseRecord.read(root / layout.RECORD),
        chain=Chain.read(root / layout.CHECKPOINTS),
        environment=Environment.read(root / layout.ENVIRONMENT),
        project=_project(root / layout.PARAMS),
    )


def _project(params: Path) -> Project:
    try:
        return Project.read(params)
    except InputError as problem:
        raise Unavailable(
            f"how it is to be replayed cannot be told: {problem.message}", mend="report the release to its maintainer"
        ) from problem


def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
