"""What the tests of steps 6 and 7 say, and how they read a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry.attest.bundle import Bundle
from registry.attest.statement import Statement
from registry.records import layout
from registry.report import Report, Verdict
from registry.verification.case import Evidence
from tests.sigstore_instance import ISSUER

Sign = Callable[..., Evidence]


def named(identity: str) -> dict[str, Any]:
    """A rule that names `identity`."""
    return {"kind": "identity", "identity": identity, "issuer": ISSUER}


def statement_of(folder: Path) -> Statement:
    """The release statement of the release in `folder`."""
    bundle = Bundle.parse((folder / layout.RELEASE_ATTESTATION).read_bytes())
    return Statement.parse(bundle.envelope.payload)


def answers(report: Report, step: int = 6) -> dict[str, Verdict]:
    """What a step says of each subject."""
    return {check.subject: check.verdict for check in report.checks if check.step == step}


def reasons(report: Report, step: int) -> str:
    """Why a step says so."""
    return " ".join(check.reason for check in report.checks if check.step == step)
