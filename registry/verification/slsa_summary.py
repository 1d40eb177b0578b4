"""The verification summary of SLSA (VSA): what came out of a verification, for those who admit by policy.

    PASS     PASSED. The subjects are the release and each of its files, by their signed SHA-256.
    FAIL     FAILED. The subjects are the files as they were found: of the signed ones nothing was learned. Files that
             are not as any statement lists them are among them, up to MAX_STRAY bytes.
    UNKNOWN  none is written: the format has no word for it, and each of its two would be a lie.

The level is SLSA Build 1, and no more: the provenance is there, is signed and fits, and its builder is the maintainer.

Law: a statement names every attestation that was looked at, whether or not it verified.
Source: SLSA 1.1, verification_summary.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime

from registry.attest import namespace
from registry.attest.intoto import Resource, SummaryVerifier, VerificationSummary
from registry.attest.statement import Statement, Subject
from registry.digest import Digests, sha256_bytes
from registry.errors import InputError, Unavailable
from registry.files import readable
from registry.hub.reference import HubReference
from registry.report import Report, Verdict
from registry.verification.case import Case

VERIFIER = namespace.WRITTEN + "verifier/v1"
POLICY = namespace.WRITTEN + "policy/v1"
LEVEL = "SLSA_BUILD_LEVEL_1"
VERSION = "1.1"
MAX_STRAY = 1 << 30
"""Bytes of files that step 2 did not measure, because nothing lists them, or not in that size: all of them together."""


def summarized(case: Case | None, report: Report, at: datetime | None = None) -> Statement:
    """The statement on what `report` says of `case`; None where step 0 let no file be read.

    at: when it was verified, if not now. Raises Unavailable where the verdict is UNKNOWN, or there is no file to name.
    """
    if report.verdict is Verdict.UNKNOWN:
        raise Unavailable(
            f"{report.subject}: the verdict is UNKNOWN, and a summary says PASSED or FAILED",
            mend="bring what the checks miss, and verify again",
        )
    digests = _measured(case) if case is not None else {}
    if case is None or not digests:
        raise Unavailable(
            f"{report.subject}: no file was read that a summary could speak of", mend="see what step 0 found"
        )
    passed = report.verdict is Verdict.PASS
    looked_at = [*((path, digests[path]) for path in case.bundles), *_given(case)]
    return VerificationSummary(
        verifier=SummaryVerifier(id=VERIFIER),
        time_verified=(at or datetime.now(UTC)).isoformat(timespec="seconds"),
        resource_uri=_named(case, passed),
        policy=Resource(uri=POLICY, digest={"sha256": sha256_bytes(case.verifier.policy.to_bytes())}),
        input_attestations=tuple(Resource(uri=name, digest={"sha256": digest}) for name, digest in looked_at),
        verification_result="PASSED" if passed else "FAILED",
        verified_levels=(LEVEL if passed else "FAILED",),
        slsa_version=VERSION,
    ).about(_signed(case) if passed else itertools.starmap(Subject, sorted(digests.items())))


def _named(case: Case, passed: bool) -> str:
    """What was verified: the release that was signed, or what was asked for where that was not learned."""
    if passed and case.signed is not None:
        return f"hf://{case.signed.name}@{case.signed.version}"
    return str(case.reference) if isinstance(case.reference, HubReference) else case.root.absolute().as_uri()


def _signed(case: Case) -> Iterator[Subject]:
    if case.subject is not None and case.signed is not None:
        yield case.subject
        yield from (Subject(file.path, file.sha256) for file in case.signed.files)


def _given(case: Case) -> Iterator[tuple[str, str]]:
    """What others signed, which came from elsewhere: its name, and its SHA-256."""
    yield from ((item.name, sha256_bytes(item.data)) for item in case.gathered.evidence)


def _measured(case: Case) -> dict[str, str]:
    """SHA-256 of each file by its path; measured now, where another digest told that it is not as signed."""
    known = dict(case.sha256)
    rest = [path for path, file in case.found.items() if path not in known and file.digests != Digests()]
    rest += _stray(case)
    try:
        with readable(case.root):
            measured = case.tree.digests([(path, frozenset(("sha256",))) for path in rest])
    except InputError as problem:
        raise Unavailable(problem.message, mend=problem.mend) from problem
    return known | {path: digests.sha256 for path, digests in zip(rest, measured, strict=True) if digests.sha256}


def _stray(case: Case) -> list[str]:
    """Files that step 2 did not measure, the smallest first, of MAX_STRAY bytes together."""
    found = sorted((file.size, path) for path, file in case.found.items() if file.digests == Digests())
    together = itertools.accumulate(size for size, _ in found)
    return [path for (_, path), total in zip(found, together, strict=True) if total <= MAX_STRAY]
