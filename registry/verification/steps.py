"""Verify a release that lies in a directory: steps 0 to 7, each answering PASS, FAIL or UNKNOWN.

    0 bounds      before anything is parsed; and what each file is                 s0_bounds.py, s0_contents.py
    1 place       answered by whoever fetched the release                          fetch.py
    2 bytes       every file is the file that the signed statements list           s2_bytes.py
    3 signatures  each bundle holds, by a signer that the policy names             s3_signatures.py
    4 complete    every attestation that must be there is, and speaks of this one  s4_complete.py
    5 lineage     from the weights back to the data                                s5_lineage.py, provenance/lineage.py
    6 policy      everything else that the policy asks for; companions; base       s6_policy.py, companions.py, bases.py
    7 status      the newest signed word on whether the release still stands       s7_status.py

A step whose ground is missing says UNKNOWN, not PASS: without a verified release statement there is nothing to be
complete against. Nothing in a release is executed, imported or rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from registry.attest.verifier import Verifier
from registry.digest import Progress
from registry.errors import GlasshouseError
from registry.hub.reference import Reference
from registry.report import Check, Report, Step, Verdict, overall
from registry.verification import (
    bases,
    companions,
    s0_bounds,
    s0_contents,
    s2_bytes,
    s3_signatures,
    s4_complete,
    s5_lineage,
    s6_policy,
    s7_status,
    summary,
)
from registry.verification.bases import FollowBase
from registry.verification.case import Case, DigestMode, Gathered
from registry.verification.companions import Measure
from registry.verification.memory import Memory
from registry.verification.tree import Tree


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
    memory: Memory | None = None,
    follow: FollowBase | None = None,
    now: datetime | None = None,
    fetching: float = 0.0,
    told: Callable[[Case | None, Report], object] = lambda case, report: None,
) -> Report:
    """The report on the release in the directory or tree `where`, which `reference` named; `place` says how it came.

    verifier: the policy, and the roots of trust.  progress: told of bytes as they are hashed.
    digest: by which digests files are compared.  gathered: evidence from outside the release, or what gathers it, once
    step 0 has passed.  measure: hashes what belongs to the release elsewhere; without it, nobody looks there.
    memory: what this machine heard of releases before; without it, nothing is recalled.
    follow: looks at the model that it was fine-tuned from; without it, nobody does.
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
            odd = list(s0_contents.amiss(root, [path for path, _ in files]))
    except GlasshouseError as problem:
        amiss = [Check(Step.BOUNDS, Verdict.of(problem), str(root), problem.message)]
        words = "not looked at: step 0 did not pass"
        report = summary.ended(str(reference), amiss, words, place=str(root), seconds=seconds)
        told(None, report)
        return report
    with _timed(seconds, Step.PLACE):
        evidence = gathered() if callable(gathered) else gathered
    case = Case(tree, files, reference, verifier if now is None else verifier.at(now), digest, evidence, memory=memory)
    counted = f"{len(files)} plain files, {sum(size for _, size in files)} bytes, no path leads out"
    checks = [
        Check(Step.BOUNDS, Verdict.PASS, str(root), counted),
        *(Check(Step.BOUNDS, verdict, path, why) for path, verdict, why in odd),
        Check(Step.PLACE, Verdict.PASS, str(reference), place),
    ]
    steps: tuple[tuple[Step, Callable[[Case], Iterable[Check]]], ...] = (
        (Step.BYTES, lambda case: s2_bytes.checks(case, progress)),
        (Step.SIGNATURES, s3_signatures.checks),
        (Step.COMPLETE, s4_complete.checks),
        (Step.LINEAGE, s5_lineage.checks),
        (Step.POLICY, lambda case: companions.checks(case, measure)),
        (Step.POLICY, lambda case: bases.checks(case, follow)),
        (Step.POLICY, s6_policy.checks),
        (Step.STATUS, lambda case: s7_status.checks(case, now or datetime.now(UTC))),
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
