"""Step 7: does the release still stand? The newest signed word counts, and a policy can ask how new it must be.

What a policy cannot ask for is that nobody hides a newer word: whoever serves old statements only can make a yanked
release look active until they are too old. That is what `maxAgeDays` is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from registry.attest.policy import Policy
from registry.attest.predicates import Status
from registry.attest.signature import SignedBy
from registry.errors import GlasshouseError, Unavailable
from registry.report import Check, Step, Verdict
from registry.verification.case import Case, unverified

CLOCKS = timedelta(minutes=10)
"""By how much clocks may differ: a word from further in the future is none."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a signer whom the policy names said of the release, and when."""

    at: datetime
    status: Status
    signer: SignedBy


def status(case: Case, now: datetime) -> Iterator[Check]:
    """The one answer of step 7."""
    asked = case.verifier.policy.status
    subject = str(case.subject.name if case.subject else case.reference)
    wish = f"the policy wants a word of the last {asked.max_age_days:g} days" if asked else "the policy asks for none"
    untold: list[tuple[datetime, str]] = []
    newest = max(_words(case, now, untold), key=lambda word: (word.at, word.status.standing == "yanked"), default=None)
    newer = [why for at, why in untold if newest is None or at > newest.at]
    if newer:
        yield Check(
            Step.STATUS, Verdict.UNKNOWN, subject, f"whether this word on its status counts cannot be told: {newer[0]}"
        )
    elif case.subject is None and asked:
        yield Check(Step.STATUS, Verdict.UNKNOWN, subject, "no verified release statement that a word could be about")
    elif newest is None and (asked or case.gathered.unanswered):
        why = f"; {case.gathered.unanswered}" if case.gathered.unanswered else ""
        yield Check(Step.STATUS, Verdict.UNKNOWN, subject, f"no signed word on its status is at hand; {wish}{why}")
    elif newest is None:
        yield Check(Step.STATUS, Verdict.PASS, subject, f"no signed word on its status is at hand; {wish}")
    else:
        yield _judged(newest, subject, wish, timedelta(days=asked.max_age_days) if asked else None, now)


def _judged(word: Word, subject: str, wish: str, limit: timedelta | None, now: datetime) -> Check:
    said = f"{word.status.standing} since {word.at:%Y-%m-%d}: {word.status.reason} ({word.signer})"
    if word.status.standing == "yanked":
        return Check(Step.STATUS, Verdict.FAIL, subject, said)
    if limit is not None and now - word.at > limit:
        return Check(Step.STATUS, Verdict.UNKNOWN, subject, f"{said}; {(now - word.at).days} days old, and {wish}")
    return Check(Step.STATUS, Verdict.PASS, subject, f"{said}{_go_to(word.status)}; {wish}")


def _go_to(said: Status) -> str:
    return f"; go to {said.successor}" if said.successor else ""


def _words(case: Case, now: datetime, untold: list[tuple[datetime, str]]) -> Iterator[Word]:
    """What those who may speak of this release said; the words of others, and about others, are passed over.

    untold: gets, of each word of which it cannot be told whether it is by one of them, when it was said, and why.
    """
    policy = case.verifier.policy
    signers = policy.status.signers if policy.status and policy.status.signers else policy.signers
    verifier = case.verifier.with_policy(Policy(signers=signers))
    for item in case.gathered.evidence:
        try:
            statement = unverified(item.data)
            said = Status.of(statement)
            if list(statement.subjects) != [case.subject]:
                continue
            verified = verifier.verify(item.data, name="status")
        except Unavailable as problem:
            untold.append((datetime.fromisoformat(said.stated_at), f"{item.name}: {problem.message}"))
            continue
        except GlasshouseError:
            continue
        at = verified.signer.signed_at or datetime.fromisoformat(said.stated_at)
        if verified.statement == statement and at <= now + CLOCKS:
            yield Word(at, said, verified.signer)
