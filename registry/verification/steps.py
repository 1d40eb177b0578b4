"""Verify a release that lies in a directory: steps 0 to 7, each answering PASS, FAIL or UNKNOWN.

    0 bounds      before anything is parsed
    1 place       answered by whoever fetched the release
    2 bytes       every file is the file that the signed statements list          contents.py
    3 signatures  of each bundle, by a signer that the policy names
    4 complete    every attestation that must be there is, and speaks of this release
    5 lineage     from the weights back to the data                               provenance/lineage.py
    6 policy      everything else that the policy asks for                        requirements.py
    7 status      the newest signed word on whether the release still stands      status.py

A step whose ground is missing says UNKNOWN, not PASS: without a verified release statement there is nothing to be
complete against. Nothing in a release is executed, imported or rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from registry.attest import predicates
from registry.attest.bundle import MAX_MODEL_BYTES
from registry.attest.verifier import Verifier
from registry.digest import Progress
from registry.errors import GlasshouseError, Unavailable, VerificationError
from registry.hub.reference import Reference
from registry.provenance import lineage
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.report import Check, Report, Step, Verdict, overall
from registry.verification import s0_bounds, s0_contents, summary
from registry.verification.case import STEPS, Case, DigestMode, Gathered, mistaken, short
from registry.verification.companions import Measure, companions
from registry.verification.s2_bytes import contents, listed_manifest
from registry.verification.s6_policy import requirements
from registry.verification.s7_status import status
from registry.verification.tree import Tree

ALWAYS = ("provenance", "data", "card")
"""Attestations without which there is no release."""
BARE = (
    "the directory has a model.sig and no attestations; it would need a release of glasshouse: glasshouse release cut"
)


def verify(
    where: Path | Tree,
    reference: Reference,
    place: str,
    verifier: Verifier,
    progress: Progress | None = None,
    *,
    digest: DigestMode = "blake3",
    gathered: Gathered | Callable[[], Gathered] = Gathered(),  # noqa: B008 - frozen
    measure: Measure | None = None,
    now: datetime | None = None,
    fetching: float = 0.0,
    told: Callable[[Case | None, Report], object] = lambda case, report: None,
) -> Report:
    """The report on the release in the directory or tree `where`, which `reference` named; `place` says how it came.

    verifier: the policy, and the roots of trust.  progress: told of bytes as they are hashed.
    digest: by which digests files are compared.  gathered: evidence from outside the release, or what gathers it, once
    step 0 has passed.  measure: hashes what belongs to the release elsewhere; without it, nobody looks there.
    now: the time to judge freshness by, and certificates without a log, if not the clock's.
    fetching: seconds that it took to bring the release here; the report counts them, and gathering, to step 1.
    told: gets what is known of the release at the end, None where step 0 failed, and the report.
    Raises nothing for what a hostile release can hold: that is what the report is for. Raises InputError for a root of
    trust that cannot be read.
    """
    tree = where if isinstance(where, Tree) else Tree(where)
    seconds, root = {Step.PLACE: fetching}, tree.root
    try:
        with _timed(seconds, Step.BOUNDS):
            files = s0_bounds.check(tree)
            amiss = list(s0_contents.amiss(root, [path for path, _ in files]))
    except GlasshouseError as problem:
        checks = [Check(Step.BOUNDS, Verdict.FAIL, str(root), problem.message)]
        checks += [Check(step, Verdict.UNKNOWN, str(root), "not looked at: step 0 failed") for step in STEPS[1:]]
        report = Report(str(reference), tuple(checks), summary.steps(checks, seconds))
        told(None, report)
        return report
    with _timed(seconds, Step.PLACE):
        evidence = gathered() if callable(gathered) else gathered
    case = Case(tree, files, reference, verifier if now is None else verifier.at(now), digest, evidence)
    counted = f"{len(files)} plain files, {sum(size for _, size in files)} bytes, no path leads out"
    checks = [
        Check(Step.BOUNDS, Verdict.PASS, str(root), counted),
        *(Check(Step.BOUNDS, verdict, path, why) for path, verdict, why in amiss),
        Check(Step.PLACE, Verdict.PASS, str(reference), place),
    ]
    steps: tuple[tuple[Step, Callable[[Case], Iterable[Check]]], ...] = (
        (Step.BYTES, lambda case: contents(case, progress)),
        (Step.SIGNATURES, _signatures),
        (Step.COMPLETE, _complete),
        (Step.LINEAGE, _lineage),
        (Step.POLICY, lambda case: companions(case, measure)),
        (Step.POLICY, requirements),
        (Step.STATUS, lambda case: status(case, now or datetime.now(UTC))),
    )
    for step, answers in steps:
        with _timed(seconds, step):
            checks += answers(case)
    passed = overall(check.verdict for check in checks) is Verdict.PASS
    report = Report(
        str(reference),
        tuple(checks),
        summary.steps(checks, seconds, case),
        summary.established(case) if passed else None,
    )
    told(case, report)
    return report


@contextmanager
def _timed(seconds: dict[Step, float], step: Step) -> Iterator[None]:
    """Within: what `step` does; its time is added to `seconds`."""
    started = perf_counter()
    try:
        yield
    finally:
        seconds[step] = seconds.get(step, 0.0) + perf_counter() - started


def _signatures(case: Case) -> Iterator[Check]:
    """Step 3: verify each bundle; keep what verified for the steps after."""
    if not case.bundles:
        words = f"no signature at all; expected some by {case.verifier.policy}"
        yield Check(Step.SIGNATURES, Verdict.FAIL, layout.ATTESTATIONS, words)
    for path in case.bundles:
        data = (case.root / path).read_bytes()
        try:
            verified = case.verifier.verify(data, name=short(path), max_bytes=MAX_MODEL_BYTES)
        except Unavailable as problem:
            yield Check(Step.SIGNATURES, Verdict.UNKNOWN, path, problem.message)
        except VerificationError as problem:
            wish = str(case.verifier.policy)
            further = "" if wish in problem.message else f"; expected a good signature by {wish}"
            yield Check(Step.SIGNATURES, Verdict.FAIL, path, f"{problem.message}{further}")
        else:
            case.verified[path] = verified
            yield Check(Step.SIGNATURES, Verdict.PASS, path, f"signed by {verified.signer}")


def _complete(case: Case) -> Iterator[Check]:
    """Step 4: the release statement names this release, and every attestation it lists is there and speaks of it."""
    path = layout.RELEASE_ATTESTATION
    if case.bare:
        yield Check(Step.COMPLETE, Verdict.UNKNOWN, path, BARE)
        return
    verified = case.verified.get(path)
    if verified is None:
        yield Check(Step.COMPLETE, Verdict.UNKNOWN, path, "no verified release statement to be complete against")
        return
    try:
        signed = predicates.Release.of(verified.statement)
        whole = listed_manifest(signed).sha256
    except GlasshouseError as problem:
        yield Check(Step.COMPLETE, Verdict.FAIL, path, problem.message)
        return
    if [subject.sha256 for subject in verified.statement.subjects] != [whole]:
        yield Check(
            Step.COMPLETE, Verdict.FAIL, path, f"its subject is not the digest over the files it lists, sha256:{whole}"
        )
        return
    case.signed = signed
    yield _named(case, signed)
    listed = {row.name: row for row in signed.attestations}
    needed = {layout.attestation(name) for name in ALWAYS}
    for name in sorted(listed.keys() | needed | set(case.bundles) - layout.COVERED_LAST):
        amiss = _amiss(case, signed, name)
        kind = listed[name].predicate_type if name in listed else ""
        yield Check(
            Step.COMPLETE, Verdict.FAIL if amiss else Verdict.PASS, name, amiss or f"listed, present, of type {kind}"
        )


def _named(case: Case, signed: predicates.Release) -> Check:
    """Whether the release statement is of the release that was asked for, and agrees with the record in it."""
    asked = case.reference
    if amiss := mistaken(asked, signed):
        return Check(Step.COMPLETE, Verdict.FAIL, str(asked), amiss)
    try:
        record = ReleaseRecord.read(case.root / layout.RECORD)
    except GlasshouseError as problem:
        return Check(Step.COMPLETE, Verdict.FAIL, layout.RECORD, problem.message)
    if (record.repo, record.tag, record.source.commit) != (signed.name, signed.version, signed.source.commit):
        return Check(
            Step.COMPLETE, Verdict.FAIL, layout.RECORD, "it is not of the release that the release statement signs"
        )
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


def _lineage(case: Case) -> Iterator[Check]:
    """Step 5, on the ground of the verified provenance statement and of bytes that are as signed."""
    path = layout.attestation("provenance")
    if path not in case.verified:
        yield Check(
            Step.LINEAGE, Verdict.UNKNOWN, path, BARE if case.bare else "no verified provenance statement to start from"
        )
        return
    if case.altered:
        yield Check(
            Step.LINEAGE, Verdict.UNKNOWN, path, "files are not as signed (step 2), so records say nothing of them"
        )
        return
    statements = {short(path): verified.statement for path, verified in case.verified.items()}
    yield from lineage.check(case.root, statements, case.sha256)
