"""Say, signed, how a release stands: that it is a candidate, active, superseded by another, or yanked.

A release never changes, so what becomes of it later is said beside it: on the branch `status` of its repository, in a
folder named like its tag. Words there are numbered, and each names the one before, so that none is held back unseen.
Nothing is taken back; whoever verifies goes by the newest word, and by a yank for good.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from registry import suffixes
from registry.attest import predicates
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.predicates import Severity, Standing, Status
from registry.attest.statement import Statement
from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, InputError
from registry.files import read_bytes, write_atomic
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.records import layout
from registry.records.record import validated
from registry.verification.case import unverified
from registry.verification.evidence import branch_words
from registry.verification.spoken import BRANCH

DIGITS = 16


@dataclass(frozen=True, slots=True)
class Link:
    """Where a word stands among those that a branch keeps."""

    number: int
    """Which it is, from 1."""
    previous: str | None
    """SHA-256 of the statement of the one before."""


def link(bundle: bytes, hub: HubClient) -> Link:
    """Where the next word stands on the release whose release statement is in `bundle`.

    Who said the words that stand there is not looked at: each is bound, whoever it is by, so that it can be asked for.
    Raises GlasshouseError where the branch cannot be read whole.
    """
    about = _release(bundle).subjects
    there = HubReference(*about[0].name.split("@"))
    last, previous = 0, None
    words = branch_words(hub, there.repository, BRANCH, there.revision) if hub.repos.exists(there.repository) else []
    for item in words:
        try:
            statement = unverified(item.data)
            said = Status.of(statement)
        except GlasshouseError:
            continue
        if statement.subjects == about and (said.number or 0) >= max(last, 1):
            last, previous = said.number or 0, sha256_bytes(statement.to_bytes())
    return Link(last + 1, previous)


def statement(
    bundle: bytes,
    standing: Standing,
    reason: str,
    successor: str | None = None,
    *,
    severity: Severity | None = None,
    after: Link | None = None,
    valid_days: float | None = None,
) -> Statement:
    """What is to be signed of the release whose release statement is in `bundle`. Its signature is not looked at.

    successor: the version to go to; a superseded release has one, a yanked one may.  severity: of a yank.
    after: where the word stands, if a branch is to keep it.  valid_days: for how long it is to be relied on.

    Raises InputError for a bundle of something else, and where standing, successor and severity do not fit.
    """
    if (successor is None and standing == "superseded") or (successor and standing in ("candidate", "active")):
        raise InputError(
            f"a superseded release has a successor, and only a yanked one beside: found {standing}, {successor}",
            mend="name the version to go to: glasshouse release supersede REF --by v1.0.1",
        )
    signed = _release(bundle)
    now = datetime.now(UTC)
    until = now + timedelta(days=valid_days) if valid_days is not None else None
    with validated("the word on its status", mend="give a reason, and a version, for a reader"):
        said = Status(
            standing=standing,
            reason=reason,
            stated_at=_rfc3339(now),
            successor=successor,
            number=after.number if after else None,
            previous=after.previous if after else None,
            valid_until=_rfc3339(until) if until else None,
            severity=severity,
        )
    return said.about(signed.subjects)


def check_successor(bundle: bytes, successor: str, hub: HubClient) -> None:
    """Raise InputError unless `successor` is another release of the same repository that is there."""
    repository, _, own = _release(bundle).subjects[0].name.partition("@")
    there = hub.refs.tags(HubReference(repository, own).repository)
    if successor == own or successor not in there:
        known = ", ".join(sorted(set(there) - {own})[:10]) or "no other"
        raise InputError(
            f"{repository} has no other release {successor[:100]!r}; it has {known}", mend="name one of them"
        )


def publish(said: Statement, bundle: bytes, hub: HubClient) -> str:
    """Put the signed word `bundle` of `said` on the branch `status` of the release's repository; where it is there.

    Raises Refused where somebody else committed there at the same moment, and as the Hub does.
    """
    repo, _, tag = said.subjects[0].name.partition("@")
    there = HubReference(repo, tag)
    name = f"{said.predicate['number']:06d}-{said.predicate['standing']}-{sha256_bytes(said.to_bytes())[:DIGITS]}"
    path = f"{there.revision}/{name}{suffixes.BUNDLE}"
    head = hub.refs.ensure_branch(there.repository, BRANCH)
    keep = tuple(file.path for file in hub.files.list(there.repository, head))
    with tempfile.TemporaryDirectory(prefix="glasshouse-") as name:
        write_atomic(Path(name) / path, bundle)
        words = f"{there.revision} is {said.predicate['standing']}"
        hub.trees.publish(there.repository, Path(name), words, head, branch=BRANCH, keep=keep)
    return f"{BRANCH}:{path}"


def _rfc3339(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _release(bundle: bytes) -> Statement:
    """The release statement in `bundle`. Raises InputError for a bundle of something else."""
    signed = Statement.parse(Bundle.parse(bundle, max_bytes=MAX_MODEL_BYTES).envelope.payload)
    predicates.Release.of(signed)
    return signed


def of_directory(folder: Path) -> bytes:
    """The bundle with the release statement of the release in `folder`. Raises InputError where there is none."""
    return read_bytes(folder / layout.RELEASE_ATTESTATION, MAX_MODEL_BYTES, mend="give a signed release")
