"""What happened, in order: releases, words on their status, audits. Each is a signed statement; nothing else counts.

The day of an event is the one that a log or a timestamp shows; without either, the one that the statement says, and
then that is said, too: whoever signs can write any day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from registry.attest.audits import Reevaluation, Replay
from registry.attest.policy import Policy
from registry.attest.predicates import Predicate, Rebuild, Status
from registry.catalog.entry import ReleaseEntry, Signature, Whom
from registry.catalog.shelves import said
from registry.errors import GlasshouseError
from registry.hub.reference import HubReference
from registry.report import Verdict
from registry.verification import spoken
from registry.verification.case import Evidence, unverified
from registry.verification.evidence import BRANCHES

What = Literal["release", "status", "rebuild", "replay", "reevaluation", "unread"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that somebody signed of a release."""

    at: datetime | None
    """When; None where nobody knows."""
    shown: bool
    """Whether a log or a timestamp shows when; else the signer says so."""
    what: What
    """What it is; `unread` for what could not be looked at."""
    release: str
    """`owner/name@version`."""
    words: str
    """What it says."""
    signature: Signature | None = None
    """Who signed it."""
    predicate: Predicate | None = None
    """What was signed, of a word or an audit."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "at": self.at.isoformat() if self.at else None,
            "shown": self.shown,
            "what": self.what,
            "release": self.release,
            "words": self.words,
            "signature": self.signature.as_json() if self.signature else None,
        }


def events(entries: Iterable[ReleaseEntry]) -> list[Event]:
    """Everything that was said of the releases, the oldest first; what nobody dates comes first of all."""
    found = [event for entry in entries for event in _events(entry)]
    return sorted(found, key=lambda event: (event.at is not None, event.at or datetime.min.replace(tzinfo=UTC)))


def _events(entry: ReleaseEntry) -> Iterator[Event]:
    at = entry.signature.at
    stated = None
    with suppress(GlasshouseError, ValueError):
        stated = datetime.fromisoformat(entry.record.source.committed_at)
    words = f"released from commit {entry.release.source.commit[:12]}"
    yield Event(at or stated, at is not None, "release", entry.name, words, entry.signature)
    if not isinstance(entry.shelf.reference, HubReference):
        return
    for branch in BRANCHES:
        try:
            said_there = entry.shelf.words(branch)
        except GlasshouseError as problem:
            yield Event(None, False, "unread", entry.name, f"the branch {branch}: {said(problem)}")
            continue
        for item in said_there:
            with suppress(GlasshouseError):  # whatever is no statement on this release
                yield from _word(entry, item)


def _word(entry: ReleaseEntry, item: Evidence) -> Iterator[Event]:
    statement = unverified(item.data)
    if list(statement.subjects) != [entry.subject]:
        return
    kinds: tuple[tuple[What, type[Predicate]], ...] = (
        ("status", Status), ("rebuild", Rebuild), ("replay", Replay), ("reevaluation", Reevaluation),
    )  # fmt: skip
    for what, kind in kinds:
        if kind.is_of(statement):
            predicate = kind.of(statement)
            signature = _who(entry.whom, what).signature(item.data, what, statement)
            stated, words = _told(predicate)
            at = signature.at
            yield Event(at or datetime.fromisoformat(stated), at is not None, what, entry.name, words, signature,
                        predicate)  # fmt: skip


def _who(whom: Whom, what: What) -> Whom:
    """Whose word counts on this: a policy can name others for words on the status, and for audits."""
    if whom.verifier is None:
        return whom
    policy = whom.verifier.policy
    auditors = policy.rebuilders.signers if policy.rebuilders else policy.signers
    signers = spoken.speakers(policy) if what == "status" else auditors
    return Whom(whom.trust, whom.verifier.with_policy(Policy(signers=signers)))


def _told(predicate: Predicate) -> tuple[str, str]:
    """(when it says it was, what it says)."""
    match predicate:
        case Status():
            go_to = f"; go to {predicate.successor}" if predicate.successor else ""
            return predicate.stated_at, f"{predicate.standing}: {predicate.reason}{go_to}"
        case Rebuild():
            return predicate.finished_at, f"{predicate.verdict} on {predicate.machine}: {predicate.reason}"
        case Replay():
            chosen = f"{len(predicate.replayed)} of {predicate.challenge.segments} segments"
            return predicate.finished_at, f"{predicate.verdict}, {chosen}: {predicate.reason}"
        case Reevaluation():
            figures = ", ".join(record.path for record in predicate.records or ()) or "nothing measured"
            return predicate.finished_at, f"{predicate.verdict}, {figures}: {predicate.reason}"
    raise AssertionError(predicate)


def verdict(event: Event) -> Verdict:
    """Whether somebody whom the reader expects said it."""
    return event.signature.verdict if event.signature else Verdict.UNKNOWN
