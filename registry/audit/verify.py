"""Verify a release that lies in a directory: steps 0 to 5, each answering PASS, FAIL or UNKNOWN.

    0 bounds      before anything is parsed
    1 place       answered by whoever fetched the release
    2 bytes       every file is the file that the signed statements list
    3 signatures  of each bundle, by a signer that the policy names
    4 complete    every attestation that must be there is, and speaks of this release
    5 lineage     from the weights back to the data

A step whose ground is missing says UNKNOWN, not PASS: without a verified release statement there is nothing to be
complete against. Nothing in a release is executed, imported or rendered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from registry.attest import oms, predicates
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.signature import Verified
from registry.attest.statement import Statement
from registry.attest.verify import Verifier
from registry.audit import bounds
from registry.digest import Progress
from registry.errors import GlasshouseError, Unavailable, VerificationError
from registry.hub.reference import HubReference, Reference
from registry.manifest import Entry, Manifest, compare
from registry.provenance import lineage, slsa
from registry.records import release as layout
from registry.report import Check, Report, Verdict

STEPS = ("bounds", "place", "bytes", "signatures", "complete", "lineage")


@dataclass
class _Release:
    """What is known of the release at `root` while it is verified."""

    root: Path
    reference: Reference
    verifier: Verifier
    found: Manifest = field(default_factory=lambda: Manifest(()))
    verified: dict[str, Verified] = field(default_factory=dict)

    @property
    def bundles(self) -> list[str]:
        """Paths of the bundles that are there, model.sig last."""
        paths = [entry.path for entry in self.found.entries if entry.path.startswith(f"{layout.ATTESTATIONS}/")]
        return [*paths, *(entry.path for entry in self.found.entries if entry.path == layout.SIGNATURE)]

    def unverified(self, path: str) -> Statement:
        """What the bundle at `path` says, its signature not looked at. Raises GlasshouseError where unreadable."""
        bundle = Bundle.parse((self.root / path).read_bytes(), max_bytes=MAX_MODEL_BYTES)
        return Statement.parse(bundle.envelope.payload)


def verify(
    root: Path, reference: Reference, place: str, verifier: Verifier, progress: Progress | None = None
) -> Report:
    """The report on the release at `root`, which `reference` named and `place` says where it came from.

    verifier: who may sign, and the roots of trust.  progress: told of bytes as they are hashed.
    Raises nothing for what a hostile release can hold: that is what the report is for. Raises InputError for a root of
    trust that cannot be read.
    """
    release = _Release(root, reference, verifier)
    try:
        counted = bounds.check(root)
    except GlasshouseError as problem:
        checks = [_check(0, Verdict.FAIL, str(root), problem.message)]
        checks += [_check(n, Verdict.UNKNOWN, str(root), "not looked at: step 0 failed") for n in range(1, len(STEPS))]
        return Report(str(reference), tuple(checks))
    release.found = Manifest.of_directory(root, progress)
    checks = [_check(0, Verdict.PASS, str(root), counted), _check(1, Verdict.PASS, str(reference), place)]
    for step in (_bytes, _signatures, _complete, _lineage):
        checks += step(release)
    return Report(str(reference), tuple(checks))


def _bytes(release: _Release) -> Iterator[Check]:
    """Step 2: compare every file with what the release statement and model.sig list."""
    differences = dict(_departures(release))
    for path, reason in sorted(differences.items()):
        yield _check(2, Verdict.FAIL, path, reason)
    if not differences:
        found = release.found
        yield _check(
            2, Verdict.PASS, "every file", f"{len(found.entries)} files, {found.size} bytes, none missing or extra"
        )


def _departures(release: _Release) -> Iterator[tuple[str, str]]:
    """(path, reason) for each file that is not as the two statements, still unverified, say."""
    present = release.found.by_path()
    for path in (layout.RELEASE_ATTESTATION, layout.SIGNATURE):
        if path not in present:
            yield path, "missing: without it nothing says which files belong to the release"
            continue
        try:
            statement = release.unverified(path)
            if path == layout.SIGNATURE:
                yield from _against_model_signature(release, oms.resources(statement))
            else:
                yield from _against_release_statement(release, _manifest(predicates.Release.of(statement)))
        except GlasshouseError as problem:
            yield path, problem.message


def _against_release_statement(release: _Release, signed: Manifest) -> Iterator[tuple[str, str]]:
    found = release.found.without(layout.COVERED_LAST)
    difference, want, got = compare(signed, found), signed.by_path(), found.by_path()
    yield from ((path, "missing: it is signed, and not there") for path in difference.missing)
    yield from ((path, "unexpected: it is there, and not signed") for path in difference.unexpected)
    yield from (
        (path, f"altered: signed as {_say(want[path])}, found {_say(got[path])}") for path in difference.altered
    )


def _against_model_signature(release: _Release, signed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    found = {e.path: e.sha256 for e in release.found.entries if e.path.split("/")[0] not in oms.IGNORED}
    for path in sorted(signed.keys() | found.keys()):
        if signed.get(path) != found.get(path):
            yield path, f"model.sig has sha256:{signed.get(path, 'none')}, found sha256:{found.get(path, 'none')}"


def _signatures(release: _Release) -> Iterator[Check]:
    """Step 3: verify each bundle; keep what verified for the steps after."""
    if not release.bundles:
        yield _check(3, Verdict.FAIL, layout.ATTESTATIONS, "no signature at all")
    for path in release.bundles:
        try:
            verified = release.verifier.verify((release.root / path).read_bytes(), max_bytes=MAX_MODEL_BYTES)
        except Unavailable as problem:
            yield _check(3, Verdict.UNKNOWN, path, problem.message)
        except VerificationError as problem:
            yield _check(3, Verdict.FAIL, path, problem.message)
        else:
            release.verified[path] = verified
            yield _check(3, Verdict.PASS, path, f"signed by {verified.signer}")


def _complete(release: _Release) -> Iterator[Check]:
    """Step 4: the release statement names this release, and every attestation it lists is there and speaks of it."""
    statement = release.verified.get(layout.RELEASE_ATTESTATION)
    if statement is None:
        yield _check(
            4, Verdict.UNKNOWN, layout.RELEASE_ATTESTATION, "no verified release statement to be complete against"
        )
        return
    try:
        signed = predicates.Release.of(statement.statement)
    except GlasshouseError as problem:
        yield _check(4, Verdict.FAIL, layout.RELEASE_ATTESTATION, problem.message)
        return
    yield _named(release, signed)
    listed = {row.name: row for row in signed.attestations}
    needed = {layout.attestation(name) for name in ("provenance", "data", "card")}
    for path in sorted(listed.keys() | needed | set(release.bundles) - layout.COVERED_LAST):
        amiss = _amiss(release, signed, path)
        kind = listed[path].predicate_type if path in listed else ""
        yield _check(4, Verdict.FAIL if amiss else Verdict.PASS, path, amiss or f"listed, present, of type {kind}")


def _named(release: _Release, signed: predicates.Release) -> Check:
    """Whether the release statement is of the release that was asked for, and agrees with the record in it."""
    asked = release.reference
    if isinstance(asked, HubReference) and asked.repository != signed.name:
        return _check(4, Verdict.FAIL, str(asked), f"this is a release of {signed.name}")
    if isinstance(asked, HubReference) and asked.revision.startswith("v") and asked.revision != signed.version:
        return _check(4, Verdict.FAIL, str(asked), f"this is release {signed.version}, under another tag")
    try:
        record = layout.ReleaseRecord.read(release.root / layout.RECORD)
    except GlasshouseError as problem:
        return _check(4, Verdict.FAIL, layout.RECORD, problem.message)
    if (record.repo, record.tag, record.source.commit) != (signed.name, signed.version, signed.source.commit):
        return _check(4, Verdict.FAIL, layout.RECORD, "it is not of the release that the release statement signs")
    words = f"it speaks of {signed.name}@{signed.version}, commit {signed.source.commit[:12]}"
    return _check(4, Verdict.PASS, layout.RELEASE_ATTESTATION, words)


def _amiss(release: _Release, signed: predicates.Release, path: str) -> str | None:
    """What is wrong with the attestation at `path`; None where it is as the release statement lists it."""
    row = {row.name: row for row in signed.attestations}.get(path)
    entry = release.found.by_path().get(path)
    if row is None:
        return "not listed in the release statement"
    if entry is None:
        return "listed in the release statement, and not there"
    if entry.sha256 != row.sha256:
        return f"listed as sha256:{row.sha256}, found sha256:{entry.sha256}"
    if path not in release.verified:
        return "its signature does not verify"
    statement = release.verified[path].statement
    if statement.predicate_type != row.predicate_type:
        return f"listed as {row.predicate_type}, it is {statement.predicate_type}"
    files = {file.path: file.sha256 for file in signed.files}
    foreign = [subject.name for subject in statement.subjects if files.get(subject.name) != subject.sha256]
    return f"it speaks of {', '.join(foreign[:3])}, not as this release has it" if foreign else None


def _lineage(release: _Release) -> Iterator[Check]:
    """Step 5, on the ground of the verified provenance statement."""
    path = layout.attestation("provenance")
    verified = release.verified.get(path)
    if verified is None:
        yield _check(5, Verdict.UNKNOWN, path, "no verified provenance statement to start from")
        return
    try:
        provenance = predicates.Provenance.of(verified.statement)
    except GlasshouseError as problem:
        yield _check(5, Verdict.FAIL, path, problem.message)
        return
    yield from lineage.check(release.root, verified.statement.digests, slsa.resolved(provenance))


def _manifest(signed: predicates.Release) -> Manifest:
    return Manifest(tuple(Entry(file.path, file.size, file.sha256) for file in signed.files))


def _say(entry: Entry) -> str:
    return f"{entry.size} bytes sha256:{entry.sha256[:16]}…"


def _check(step: int, verdict: Verdict, subject: str, reason: str) -> Check:
    return Check(step, STEPS[step], verdict, subject, reason)
