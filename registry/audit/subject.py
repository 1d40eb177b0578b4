"""A release whose code an auditor may run: one that was verified before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from registry.attest.bundle import MAX_MODEL_BYTES
from registry.attest.predicates import Release
from registry.attest.statement import Subject
from registry.attest.verifier import Verifier
from registry.errors import Unavailable, VerificationError
from registry.records import layout
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from registry.records.release_record import ReleaseRecord
from registry.report import Report, Step, Verdict

CPU_BOUND = ("native", "cuda")
"""Profiles whose bits are promised on one type of machine only; those of others are promised on every one."""
PACKAGES = ("torch", "numpy", "blas", "transformers")
"""Software that no profile makes up for."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A verified release, and its records.

    root: its directory.  subject: what the release statement speaks of.  logged_at: RFC 3339, when that statement was
    signed as a log or a timestamp authority shows; None where a bare key signed it.
    """

    root: Path
    subject: Subject
    logged_at: str | None
    record: ReleaseRecord
    chain: Chain
    environment: Environment


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
    )


def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def foreign(signed: Environment, here: Environment) -> tuple[str, ...]:
    """Why other bits could come out here without anybody having lied; empty where the profile promises the same."""
    where, there = here.machine, signed.machine
    pairs = [
        ("numeric profile", signed.profile.digest, here.profile.digest),
        ("architecture", there.architecture, where.architecture),
        *((name, getattr(signed.software, name), getattr(here.software, name)) for name in PACKAGES),
    ]
    builds = signed.software.builds or {}, here.software.builds or {}
    pairs += [(f"build of {name}", builds[0][name], builds[1][name]) for name in sorted(builds[0].keys() & builds[1])]
    if signed.profile.name in CPU_BOUND:
        pairs += [
            ("CPU", there.cpu, where.cpu),
            ("CPU features", ", ".join(there.features), ", ".join(where.features)),
            ("code path", signed.profile.capability, here.profile.capability),
            ("BLAS code path", signed.profile.blas_core, here.profile.blas_core),
            ("C library", there.libc, where.libc),
        ]
    pairs += [("accelerator", str(there.accelerator), str(where.accelerator))]
    return tuple(f"{what}: {theirs[:80]!r} there, {ours[:80]!r} here" for what, theirs, ours in pairs if theirs != ours)
