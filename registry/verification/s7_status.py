"""Step 7: does the release still stand? The newest signed word counts, and a policy can ask how new it must be.

Words on a release are numbered, and each names the one before, whoever said that. So a word that is held back is seen:

    1 words      what those who may speak of this release said; words of others and about others are passed over
    2 chain      one word for each number, each linked to the one before; a gap, or a fork, is told
    3 newest     the last of the chain, or a later word without a number, as they were before words were numbered
    4 answer     a yank is FAIL, from whatever day it says it is, and for good; all that may be missing is UNKNOWN

What nobody can see is that the last words of the chain are held back, all of them: whoever serves old statements only
can make a yanked release look active until they are too old. That is what `maxAgeDays` and `validUntil` are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from registry.attest.policy import Policy
from registry.attest.predicates import Status
from registry.attest.signature import SignedBy
from registry.attest.signers import AllowedSigner
from registry.attest.statement import Statement
from registry.attest.verifier import Verifier
from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, SignatureError, Unavailable
from registry.report import Check, Step, Verdict
from registry.verification.case import Case, Evidence, unverified

BRANCH = "status"
"""Where words on releases stand in their repository."""
CLOCKS = timedelta(minutes=10)
"""By how much clocks may differ: a word from further in the future says that one of them is wrong."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a signer whom the policy names said of the release."""

    at: datetime
    """When it was said."""
    status: Status
    """What was said."""
    signer: SignedBy
    """Who said it."""
    digest: str
    """SHA-256 of the statement."""

    @property
    def yanked(self) -> bool:
        """Whether it takes the release back."""
        return self.status.standing == "yanked"


@dataclass
class Heard:
    """All that was said of the release."""

    words: list[Word] = field(default_factory=list)
    """What those said who may."""
    there: set[str] = field(default_factory=set)
    """Digests of all statements about the release, whoever signed them."""
    untold: list[tuple[datetime, str]] = field(default_factory=list)
    """(when, why) of each word whose signer cannot be told."""


def checks(case: Case, now: datetime) -> Iterator[Check]:
    """The one answer of step 7."""
    asked = case.verifier.policy.status
    subject = str(case.subject.name if case.subject else case.reference)
    wish = f"the policy wants a word of the last {asked.max_age_days:g} days" if asked else "the policy asks for none"
    heard = _heard(case)
    forked, missing = _chain(heard)
    newest = _newest(heard.words)
    yank = next((word for word in heard.words if word.yanked), None)
    late = newest.at if newest else None
    doubts = [why for at, why in heard.untold if late is None or at > late]
    doubts += [*missing, *([case.gathered.unanswered[BRANCH]] if BRANCH in case.gathered.unanswered else [])]

    def answer(verdict: Verdict, words: str) -> Check:
        return Check(Step.STATUS, verdict, subject, words)

    if yank is not None:
        yield answer(Verdict.FAIL, _told(yank))
    elif forked:
        yield answer(Verdict.FAIL, f"two words on its status have one number: {forked}")
    elif doubts:
        said = f"{_told(newest)}; but " if newest else ""
        yield answer(Verdict.UNKNOWN, f"{said}{doubts[0]}; {wish}")
    elif case.subject is None and asked:
        yield answer(Verdict.UNKNOWN, "no verified release statement that a word could be about")
    elif newest is None:
        words = f"no signed word on its status is at hand; {wish}"
        yield answer(Verdict.UNKNOWN if asked else Verdict.PASS, words)
    else:
        limit = timedelta(days=asked.max_age_days) if asked else None
        verdict, why = _judged(newest, limit, now)
        yield answer(verdict, f"{_told(newest)}{why}; {wish}")


def _told(word: Word) -> str:
    go_to = f"; go to {word.status.successor}" if word.status.successor else ""
    return f"{word.status.standing} since {word.at:%Y-%m-%d}: {word.status.reason} ({word.signer}){go_to}"


def _judged(word: Word, limit: timedelta | None, now: datetime) -> tuple[Verdict, str]:
    """What a word that does not yank amounts to today."""
    if word.at > now + CLOCKS:
        return Verdict.UNKNOWN, f"; this machine's clock says {now:%Y-%m-%d %H:%M} UTC: that or the word's is wrong"
    until = word.status.valid_until
    if until is not None and now > datetime.fromisoformat(until) + CLOCKS:
        return Verdict.UNKNOWN, f"; it was meant to hold until {until[:10]}"
    if limit is not None and now - word.at > limit:
        return Verdict.UNKNOWN, f"; {(now - word.at).days} days old"
    return Verdict.PASS, ""


def _newest(words: list[Word]) -> Word | None:
    """The last of the chain, or a later word without a number."""
    last = max((word for word in words if word.status.number), key=lambda word: word.status.number or 0, default=None)
    loose = [word for word in words if word.status.number is None and (last is None or word.at > last.at)]
    return max(loose, key=lambda word: word.at, default=last)


def _chain(heard: Heard) -> tuple[str, list[str]]:
    """(a fork, if there is one; what is missing from the chain of numbered words)."""
    chained = sorted((word for word in heard.words if word.status.number), key=lambda word: word.status.number or 0)
    by_number: dict[int, Word] = {}
    for word in chained:
        other = by_number.setdefault(word.status.number or 0, word)
        if other.digest != word.digest:
            return f"{_told(other)}, and {_told(word)}", []
    missing = [
        f"the word before number {word.status.number} is not at hand, and nobody knows what it says"
        for word in chained
        if word.status.previous is not None and word.status.previous not in heard.there
    ]
    return "", missing


def speakers(policy: Policy) -> tuple[AllowedSigner, ...]:
    """Who may speak of a release's status."""
    return policy.status.signers if policy.status and policy.status.signers else policy.signers


def _heard(case: Case) -> Heard:
    """What was said of this release."""
    verifier = case.verifier.with_policy(Policy(signers=speakers(case.verifier.policy)))
    heard = Heard()
    for item in case.gathered.evidence:
        try:
            statement = unverified(item.data)
            said = Status.of(statement)
        except GlasshouseError:
            continue  # no word on a status
        if list(statement.subjects) != [case.subject]:
            continue
        heard.there.add(sha256_bytes(statement.to_bytes()))
        _hear(heard, verifier, item, statement, said)
    return heard


def _hear(heard: Heard, verifier: Verifier, item: Evidence, statement: Statement, said: Status) -> None:
    """Enter one word, if it is by somebody who may speak; a yank also where its certificate has ended since."""
    stated = datetime.fromisoformat(said.stated_at)
    try:
        try:
            verified = verifier.verify(item.data, name=BRANCH)
        except SignatureError:
            if said.standing != "yanked":
                raise
            verified = verifier.at(stated).verify(item.data, name=BRANCH)
    except Unavailable as problem:
        words = f"whether this word on its status counts cannot be told: {item.name}: {problem.message}"
        heard.untold.append((stated, words))
    except GlasshouseError:
        return  # by nobody who may speak of it
    else:
        if verified.statement == statement:
            digest = sha256_bytes(statement.to_bytes())
            heard.words.append(Word(verified.signer.signed_at or stated, said, verified.signer, digest))
