"""Step 7: does the release still stand? The newest signed word counts, and a policy can ask how new it must be.

Words on a release are numbered, and each names the one before, whoever said that. So a word that is held back is seen:

    1 words      what those who may speak of this release said; words of others and about others are passed over
    2 chain      one word for each number, each linked to the one before; a gap, or a fork, is told, and so is a yank in
                 it whose signer cannot be told: its signature could have been spoilt
    3 before     what this machine heard before: it stays true, and a Hub that shows less now has gone back
    4 newest     the last of the chain, or a later word without a number, as they were before words were numbered
    5 answer     a yank is FAIL, from whatever day it says it is, and for good; all that may be missing is UNKNOWN

What a machine that never heard of it cannot see is that the last words of the chain are held back, all of them: whoever
serves old statements only can make a yanked release look active until they are too old. That is what `maxAgeDays` and
`validUntil` are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from registry.errors import InputError
from registry.report import Check, Step, Verdict
from registry.verification import spoken
from registry.verification.case import Case
from registry.verification.memory import HeardBefore
from registry.verification.spoken import BRANCH, Heard, Word

CLOCKS = timedelta(minutes=10)
"""By how much clocks may differ: a word from further in the future says that one of them is wrong."""


def checks(case: Case, now: datetime) -> Iterator[Check]:
    """The one answer of step 7."""
    verdict, words = _answer(case, now)
    yield Check(Step.STATUS, verdict, str(case.subject.name if case.subject else case.reference), words)


def _answer(case: Case, now: datetime) -> tuple[Verdict, str]:
    asked = case.verifier.policy.status
    wish = f"the policy wants a word of the last {asked.max_age_days:g} days" if asked else "the policy asks for none"
    case.heard = heard = spoken.hear(case)
    newest = heard.newest
    if (against := amiss(case, heard)) is not None:
        verdict, why = against
        said = f"{newest}; but " if newest and verdict is Verdict.UNKNOWN else ""
        return verdict, f"{said}{why}; {wish}" if verdict is Verdict.UNKNOWN else why
    if case.subject is None and asked:
        return Verdict.UNKNOWN, "no verified release statement that a word could be about"
    if newest is None:
        return Verdict.UNKNOWN if asked else Verdict.PASS, f"no signed word on its status is at hand; {wish}"
    verdict, why = _judged(newest, timedelta(days=asked.max_age_days) if asked else None, now)
    return verdict, f"{newest}{why}; {wish}"


def amiss(case: Case, heard: Heard) -> tuple[Verdict, str] | None:
    """What speaks against going by the newest word, whatever it says: FAIL or UNKNOWN, and why; None where nothing."""
    before, forgot = _before(case)
    if heard.yank is not None:
        return Verdict.FAIL, str(heard.yank)
    if before is not None and before.yank is not None:
        return Verdict.FAIL, f"yanked, as this machine heard before: {before.yank}"
    if heard.fork:
        return Verdict.FAIL, "two words on its status have one number: {}, and {}".format(*heard.fork)
    back = _gone_back(heard, before)
    if back and case.gathered.asked and BRANCH not in case.gathered.unanswered:
        return Verdict.FAIL, f"{back}: the Hub shows less than it did"
    doubts = [*_doubts(case, heard), *([back] if back and heard.words else []), *forgot]
    return (Verdict.UNKNOWN, doubts[0]) if doubts else None


def _before(case: Case) -> tuple[HeardBefore | None, list[str]]:
    """What this machine heard of the release before; and why that cannot be told, if so."""
    if case.memory is None or case.subject is None:
        return None, []
    try:
        return case.memory.recall(case.subject, spoken.speakers(case.verifier.policy)), []
    except InputError as problem:
        return None, [f"what this machine heard of it before cannot be read: {problem.message}"]


def _gone_back(heard: Heard, before: HeardBefore | None) -> str | None:
    """How the words at hand say less than this machine heard before; None where they do not."""
    if before is None or not before.number:
        return None
    last = heard.numbered[-1].status.number or 0 if heard.numbered else 0
    if last < before.number:
        return f"the newest word has number {last}, and this machine heard number {before.number} before"
    same = [word for word in heard.numbered if word.status.number == before.number]
    if all(word.digest != before.statement for word in same) and before.statement not in heard.there:
        return f"this machine heard another word number {before.number} before"
    return None


def _doubts(case: Case, heard: Heard) -> list[str]:
    """Why a word may be missing."""
    late = heard.newest.at if heard.newest else None
    untold = [why for at, why in heard.untold if late is None or at > late]
    over = heard.passed_over
    gaps = [f"the word before number {n} is not at hand, and nobody knows what it says" for n in heard.gaps]
    yanks = [f"word {n} is a yank, by nobody who is known to speak of it, and later words rest on it" for n in over]
    return [*untold, *gaps, *yanks, *([case.gathered.unanswered[BRANCH]] if BRANCH in case.gathered.unanswered else [])]


def _judged(word: Word, limit: timedelta | None, now: datetime) -> tuple[Verdict, str]:
    """What a word that does not yank amounts to today."""
    if word.at > now + CLOCKS:
        return Verdict.UNKNOWN, f"; this machine's clock says {now:%Y-%m-%d %H:%M} UTC: that or the word's is wrong"
    until = word.status.valid_until
    if until is not None and now > datetime.fromisoformat(until) + CLOCKS:
        return Verdict.UNKNOWN, f"; it was meant to hold until {until[:10]}"
    if limit is not None and now - word.at > limit:
        return Verdict.UNKNOWN, f"; {(now - word.at).days} days old"
    if limit is not None and word.status.standing == "candidate":
        return Verdict.UNKNOWN, "; nobody has promoted it"
    return Verdict.PASS, ""
