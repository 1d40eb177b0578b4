"""What a candidate must show before it is promoted: each is a gate, open, shut, or not known to be either.

    1 verification   everything of steps 0 to 6 that the policy asks of a release: signers, lineage, rebuilds, openness
    2 standing       nothing was said that a promotion would contradict: no yank, no fork, no word that may be missing
    3 figures        none is worse than that of the last active release, beyond what the policy lets pass
    4 approvals      enough of those whom the policy names signed the release statement

A gate is a check of the report: PASS is open, FAIL is shut, and UNKNOWN is as good as shut to whoever promotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from registry.attest.policy import Approvals, NoWorse, Policy, Promotion
from registry.attest.statement import Subject
from registry.catalog import entry, shelves
from registry.catalog.entry import ReleaseEntry, Whom
from registry.catalog.figures import figures_of
from registry.digest import Progress
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.records import layout
from registry.report import Check, Report, Step, Verdict, ask, overall
from registry.verification import s6_policy, s7_status, spoken
from registry.verification.case import Case
from registry.verification.companions import on_hub
from registry.verification.following import FollowBases
from registry.verification.request import Request
from registry.verification.spoken import Word
from registry.versions import order

WORDS = {Verdict.PASS: "open", Verdict.FAIL: "shut", Verdict.UNKNOWN: "unknown"}
"""What the verdict on a gate is called."""


@dataclass(frozen=True, slots=True)
class Promotable:
    """What is known of a candidate."""

    release: str
    """`owner/name@version`."""
    subject: Subject | None
    """What a word on it speaks of, as it was verified; None where it was not."""
    newest: Word | None
    """The newest word on its status, by those who may speak of it."""
    last: str | None
    """The release that is active now, `owner/name@version`; None where there is none."""
    gates: tuple[Check, ...]
    """Each gate: its subject is what it asks for."""

    @property
    def verdict(self) -> Verdict:
        """PASS where every gate is open, FAIL where one is shut."""
        return overall(gate.verdict for gate in self.gates)

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "release": self.release,
            "standing": self.newest.status.standing if self.newest else None,
            "lastActive": self.last,
            "verdict": str(self.verdict),
            "gates": [{"gate": g.subject, "state": WORDS[g.verdict], "reason": g.reason} for g in self.gates],
        }


def look(
    reference: HubReference,
    whom: Whom,
    attestations: tuple[Path, ...] = (),
    *,
    endpoint: str | None,
    progress: Progress | None = None,
) -> Promotable:
    """Whether the release at `reference` may be promoted, by the policy of whom the reader expects.

    attestations: bundles by others, or folders of them: approvals, rebuilds.

    Every byte of it is fetched and verified. Raises InputError where nobody is expected, and as the Hub does.
    """
    if whom.verifier is None:
        raise InputError("nobody was named who may release", mend="give --policy policy.yaml")
    policy, hub = whom.verifier.policy, HubClient(endpoint)
    gates: list[Check] = []
    seen: list[Subject] = []

    def told(case: Case, report: Report) -> None:
        seen.extend([case.subject] if case.subject else [])
        gates.extend(_of_itself(case, policy))

    asked = Request(
        reference, whom.verifier, attestations, on_hub(hub, progress), FollowBases(endpoint, None, progress),
        endpoint=endpoint, progress=progress, memory=whom.memory,
        told=told,
    )  # fmt: skip
    gates[:0] = _verification(asked.verified())
    shelf = shelves.HubShelf(reference, hub.refs.resolve(reference.repository, reference.revision), hub)
    there, last = entry.read(shelf, whom), None
    if [there.subject] != seen:
        why = "the Hub shows another release now than the one that was verified"
        gates.append(Check(Step.PLACE, Verdict.UNKNOWN, "the same release", why))
    try:
        last = last_active(there, hub, whom)
    except Unavailable as problem:
        gates.append(Check(Step.POLICY, Verdict.UNKNOWN, "the release before", problem.message))
    else:
        gates += _figures(there, last, policy.promotion)
    return Promotable(there.name, seen[0] if seen else None, there.newest, last.name if last else None, tuple(gates))


def last_active(there: ReleaseEntry, hub: HubClient, whom: Whom) -> ReleaseEntry | None:
    """The newest release before this one of the same repository that stands, and that its newest word calls active.

    Raises Unavailable where that cannot be told of a newer one than the one that would be named.
    """
    if not isinstance(there.shelf.reference, HubReference):
        raise InputError(f"{there.name} is not on a Hub", mend="publish it first: glasshouse release publish DIR")
    own = order(there.release.version)
    for shelf in shelves.released(hub, there.shelf.reference.repository):
        if order(shelf.reference.revision) >= own:
            continue
        try:
            other = entry.read(shelf, whom)
        except GlasshouseError as problem:
            raise Unavailable(f"{shelf.reference} cannot be read: {problem.message}", mend="look at it") from problem
        verdict, why = other.standing
        if other.newest is not None and other.newest.status.standing == "active" and verdict is not Verdict.FAIL:
            if verdict is Verdict.UNKNOWN:
                raise Unavailable(f"whether {other.name} stands cannot be told: {why}", mend="glasshouse release show")
            return other
    return None


def _verification(report: Report) -> Iterator[Check]:
    """One gate for all of steps 0 to 6; where it is not open, one for each check that is not."""
    checks = [check for check in report.checks if check.step < Step.STATUS]
    held = [check for check in checks if check.verdict is Verdict.PASS]
    if checks and len(held) == len(checks):
        yield Check(Step.POLICY, Verdict.PASS, "verification", f"{len(held)} checks hold")
        return
    for check in checks:
        if check.verdict is not Verdict.PASS:
            yield Check(check.step, check.verdict, f"verification: {check.subject}", check.reason)


def _of_itself(case: Case, policy: Policy) -> Iterator[Check]:
    """The gates that need nothing but the release and what was said of it."""
    heard = case.heard or spoken.Heard()
    against = s7_status.amiss(case, heard)
    words = str(heard.newest) if heard.newest else "nothing was said of it yet"
    verdict, why = against or (Verdict.PASS, words)
    yield Check(Step.STATUS, verdict, "standing", why)
    if policy.promotion and policy.promotion.approvals:
        yield ask(Step.POLICY, "approvals", partial(_approved, case, policy, policy.promotion.approvals))


def _approved(case: Case, policy: Policy, asked: Approvals) -> str:
    """Enough of those who may approve signed the release statement."""
    if case.signed is None:
        raise Unavailable("no verified release statement that anybody could have signed", mend="see the other gates")
    allowed = case.verifier.with_policy(Policy(signers=asked.signers or policy.signers))
    first = case.verified[layout.RELEASE_ATTESTATION]
    further, untold = s6_policy.cosigners(case, allowed, first)
    own = [first.signer] if allowed.policy.names(first.signer, "release") is not None else []
    count = allowed.policy.counted((*own, *further), s6_policy.RELEASE)
    words = f"{count} approved; the policy asks for {asked.at_least}"
    if count < asked.at_least and untold:
        raise Unavailable(f"{words}; {untold}", mend="see the other gates")
    if count < asked.at_least:
        raise VerificationError(words, mend="give more: --attestation FILE; glasshouse trust cosign makes one")
    return words


def _figures(there: ReleaseEntry, last: ReleaseEntry | None, asked: Promotion | None) -> Iterator[Check]:
    """A gate for each figure that the policy bounds."""
    for name, bound in sorted((asked.figures if asked else {}).items()):
        yield ask(Step.POLICY, name, partial(_no_worse, there, last, name, bound))


def _no_worse(there: ReleaseEntry, last: ReleaseEntry | None, name: str, bound: NoWorse) -> str:
    new = _figure(there, name)
    if last is None:
        return f"{new:g}; no release before it is active"
    old = _figure(last, name)
    worse = new - old if bound.better == "lower" else old - new
    words = f"{new:g}, of {last.name} {old:g}; {bound.better} is better, and it may be worse by {bound.max_worse:g}"
    if worse > bound.max_worse:
        raise VerificationError(words, mend="do not promote it")
    return words


def _figure(found: ReleaseEntry, name: str) -> float:
    known = figures_of(found)
    if name not in known:
        there = ", ".join(sorted(known)[:10]) or "none"
        raise Unavailable(f"{found.name} has no such figure; it has {there}", mend="name one that it has")
    return known[name]
