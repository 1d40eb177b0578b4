"""Bring an auditor's signed statement to the release it speaks of: a pull request to the branch `audits`.

Whoever can read the repository can propose; nobody needs the right to write to it. The maintainer merges.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry import suffixes
from registry.attest import namespace
from registry.attest.predicates import BASE
from registry.attest.statement import Statement
from registry.digest import sha256_bytes
from registry.errors import InputError
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.records.layout import AUDITS

DIGITS = 16


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed: one file, named after the statement in it, so that no statement is proposed twice."""

    release: HubReference
    """Whose audit it is."""
    path: str
    """Where the file goes, on the branch."""
    title: str
    """The pull request's."""


def proposal(statement: Statement) -> Proposal:
    """The proposal for an auditor's statement. Raises InputError where it is of no release `owner/name@tag`."""
    subject = statement.subjects[0].name
    repository, _, tag = subject.partition("@")
    if not tag:
        raise InputError(
            f"the verdict is of {subject[:200]!r}, no release on a Hub", mend="audit hf://OWNER/NAME@TAG, then publish"
        )
    release = HubReference(repository, tag)
    kind = namespace.read(statement.predicate_type).removeprefix(BASE).split("/")[0]
    name = f"{kind}-{sha256_bytes(statement.to_bytes())[:DIGITS]}"
    return Proposal(
        release, f"{tag}/{name}{suffixes.BUNDLE}", f"Audit of {tag}: {statement.predicate['verdict']} ({name})"
    )


def standing(hub: HubClient, asked: Proposal) -> str | None:
    """The address of that statement, where it was proposed already and not declined. Changes nothing.

    Raises InputError where the repository collects no audits, CredentialsError for nobody.
    """
    repo = asked.release.repository
    if any(file.path == asked.path for file in hub.files.list(repo, hub.refs.head(repo, AUDITS))):
        return f"{hub.endpoint}/{repo}/blob/{AUDITS}/{asked.path}"
    me = hub.account.name()
    for pull in hub.pulls.list(repo):
        if (pull.title, pull.author) == (asked.title, me) and pull.status in ("open", "draft"):
            return hub.pulls.url(repo, pull.number)
    return None


def propose(hub: HubClient, asked: Proposal, bundle: bytes) -> str:
    """Open the pull request; its address. Raises as `Pulls.propose` does."""
    return hub.pulls.propose(asked.release.repository, AUDITS, {asked.path: bundle}, asked.title)
