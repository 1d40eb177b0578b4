"""What a person reads first of a verification: a line for each step, and a sentence on what was established."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from registry.attest import predicates
from registry.errors import GlasshouseError
from registry.provenance import lineage
from registry.records import layout
from registry.report import Check, Established, Report, Step, StepSummary, Verdict, overall
from registry.verification.case import STEPS, Case

_COUNTED = {Verdict.PASS: "held", Verdict.FAIL: "failed", Verdict.UNKNOWN: "could not be checked"}


def steps(checks: Iterable[Check], seconds: Mapping[Step, float], case: Case | None = None) -> tuple[StepSummary, ...]:
    """A line for each of the steps.

    seconds: how long each took.  case: what was found out; None where step 0 failed.
    """
    made: dict[Step, list[Check]] = {step: [] for step in STEPS}
    for check in checks:
        made[check.step].append(check)
    return tuple(
        StepSummary(
            step, overall(check.verdict for check in of_step), _words(step, of_step, case), seconds.get(step, 0.0)
        )
        for step, of_step in made.items()
    )


def ended(
    subject: str,
    found: Sequence[Check],
    why: str,
    *,
    place: str | None = None,
    seconds: Mapping[Step, float] | None = None,
) -> Report:
    """The report on a release of which nothing more is looked at: what was found, and UNKNOWN for every other step.

    why: as those steps say it.  place: what they are said of, if not `subject`.
    """
    looked = {check.step for check in found}
    rest = [Check(step, Verdict.UNKNOWN, place or subject, why) for step in STEPS if step not in looked]
    checks = sorted((*found, *rest), key=lambda check: check.step)
    return Report(subject, tuple(checks), steps(checks, seconds or {}))


def established(case: Case) -> Established | None:
    """Who signed what, from which commit and data. To be told of a release that passed; None where nobody signed."""
    release = case.verified.get(layout.RELEASE_ATTESTATION)
    if release is None or case.signed is None:
        return None
    name = f"{case.signed.name}@{case.signed.version}"
    return Established(
        release.signer.name,
        name,
        case.signed.source.commit,
        _data_root(case),
        lineage.unstated([path for path, _ in case.files]),
    )


def _data_root(case: Case) -> str | None:
    data = case.verified.get(layout.attestation("data"))
    try:
        return predicates.DataManifest.of(data.statement).root if data else None
    except GlasshouseError:
        return None


def _words(step: Step, checks: Sequence[Check], case: Case | None) -> str:
    """What was found. The one check of a step says so itself: up to its first semicolon, where it passed."""
    if len(checks) == 1:
        (check,) = checks
        if check.verdict is Verdict.PASS:
            return check.reason.partition(";")[0]
        whole = case is None or check.subject in (str(case.root), str(case.reference))
        return check.reason if whole else f"{check.subject}: {check.reason}"
    unsaid = [check.reason.partition(":")[0] for check in checks if check.subject == lineage.UNSTATED]
    rest = [f"not stated: {words}" for words in unsaid]
    if overall(check.verdict for check in checks) is not Verdict.PASS:
        counted = Counter(check.verdict for check in checks if check.subject != lineage.UNSTATED)
        counts = [f"{counted[verdict]} {words}" for verdict, words in _COUNTED.items() if counted[verdict]]
        return ", ".join([*counts, *rest]) or "nothing was checked"
    match step:
        case Step.SIGNATURES:
            return f"{len(checks)} bundles, signed by {_signers(case)}"
        case Step.COMPLETE:
            return f"{len(checks) - 1} attestations, each there and of this release"
        case Step.LINEAGE:
            return ", ".join([f"{len(checks) - len(unsaid)} links hold", *(rest or ["none is missing"])])
    return f"{len(checks)} requirements hold"


def _signers(case: Case | None) -> str:
    names = sorted({verified.signer.name for verified in case.verified.values()}) if case else []
    return names[0] if len(names) == 1 else f"{len(names)} signers whom the policy names"
