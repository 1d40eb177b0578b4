"""Step 4: the release statement names this release, and every attestation it lists is there and speaks of it.

Without a verified release statement there is nothing to be complete against: UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterator

from registry.attest import predicates
from registry.attest.statement import Statement
from registry.errors import GlasshouseError, VerificationError
from registry.provenance import claims
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.report import Check, Step, Verdict
from registry.verification.case import BARE, Case, mistaken, short
from registry.verification.s2_bytes import listed_manifest

MEND = "do not use the release; tell the maintainer"


def checks(case: Case) -> Iterator[Check]:
    """An answer for the release statement, one for the release it names, and one for each attestation."""
    path = layout.RELEASE_ATTESTATION
    verified = case.verified.get(path)
    if case.bare or verified is None:
        words = BARE if case.bare else "no verified release statement to be complete against"
        yield Check(Step.COMPLETE, Verdict.UNKNOWN, path, words)
        return
    try:
        case.signed = signed = stated(verified.statement)
    except GlasshouseError as problem:
        yield Check(Step.COMPLETE, Verdict.of(problem), path, problem.message)
        return
    yield _named(case, signed)
    listed = {row.name: row for row in signed.attestations}
    needed = {layout.attestation(name) for name in claims.NEEDED if name in claims.expected(case.found)}
    for name in sorted(listed.keys() | needed | set(case.bundles) - layout.COVERED_LAST):
        amiss = _amiss(case, signed, name)
        kind = listed[name].predicate_type if name in listed else ""
        verdict = Verdict.FAIL if amiss else Verdict.PASS
        yield Check(Step.COMPLETE, verdict, name, amiss or f"listed, present, of type {kind}")


def stated(statement: Statement) -> predicates.Release:
    """What a release statement says.

    Raises Malformed for another statement, and VerificationError unless its subject is the digest over its files.
    """
    signed = predicates.Release.of(statement)
    whole = listed_manifest(signed).sha256
    if [subject.sha256 for subject in statement.subjects] != [whole]:
        raise VerificationError(f"its subject is not the digest over the files it lists, sha256:{whole}", mend=MEND)
    return signed


def _named(case: Case, signed: predicates.Release) -> Check:
    """Whether the release statement is of the release that was asked for, and agrees with the record in it."""
    asked = case.reference
    if amiss := mistaken(asked, signed):
        return Check(Step.COMPLETE, Verdict.FAIL, str(asked), amiss)
    if layout.RECORD not in case.found:
        return Check(Step.COMPLETE, Verdict.FAIL, layout.RECORD, "the release has no such record")
    try:
        record = ReleaseRecord.read(case.root / layout.RECORD)
    except GlasshouseError as problem:
        return Check(Step.COMPLETE, Verdict.of(problem), layout.RECORD, problem.message)
    if (record.repo, record.tag, record.source.commit) != (signed.name, signed.version, signed.source.commit):
        words = "it is not of the release that the release statement signs"
        return Check(Step.COMPLETE, Verdict.FAIL, layout.RECORD, words)
    words = f"it speaks of {signed.name}@{signed.version}, commit {signed.source.commit[:12]}"
    return Check(Step.COMPLETE, Verdict.PASS, layout.RELEASE_ATTESTATION, words)


def _amiss(case: Case, signed: predicates.Release, path: str) -> str | None:
    """What is wrong with the attestation at `path`; None where it is as the release statement lists it."""
    row = {row.name: row for row in signed.attestations}.get(path)
    found = case.found.get(path)
    if row is None:
        return "not listed in the release statement"
    if found is None:
        return "listed in the release statement, and not there"
    if case.sha256.get(path) != row.sha256:
        return f"listed as sha256:{row.sha256}, found sha256:{case.sha256.get(path)}"
    if path not in case.verified:
        return "its signature does not verify"
    statement = case.verified[path].statement
    if statement.predicate_type != row.predicate_type:
        return f"listed as {row.predicate_type}, it is {statement.predicate_type}"
    if short(path).startswith(layout.STAGE):
        return None  # it speaks of what the pipeline read and wrote: step 5 follows it
    files = {file.path: file.sha256 for file in signed.files}
    foreign = [subject.name for subject in statement.subjects if files.get(subject.name) != subject.sha256]
    return f"it speaks of {', '.join(foreign[:3])}, not as this release has it" if foreign else None
