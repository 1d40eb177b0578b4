"""Say, signed, whether a release still stands: that it is active, superseded by another, or yanked.

A release never changes, so what becomes of it later is said beside it: on the branch `status` of its repository, in a
folder named like its tag. Nothing is taken back there; whoever verifies goes by the newest word.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from registry.attest import predicates
from registry.attest.bundle import MAX_MODEL_BYTES, Bundle
from registry.attest.predicates import Standing, Status
from registry.attest.statement import Statement
from registry.digest import sha256_bytes
from registry.errors import InputError
from registry.files import write_atomic
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.records import layout

BRANCH = "status"
SUFFIX = ".sigstore.json"
DIGITS = 16


def statement(bundle: bytes, standing: Standing, reason: str, successor: str | None = None) -> Statement:
    """What is to be signed of the release whose release statement is in `bundle`. Its signature is not looked at.

    Raises InputError for a bundle of something else, and for a successor of a release that is not superseded.
    """
    if (successor is not None) != (standing == "superseded"):
        raise InputError(
            f"{standing}, successor {successor}: what is superseded has a successor, and nothing else has",
            mend="--say superseded --successor v1.0.1",
        )
    signed = Statement.parse(Bundle.parse(bundle, max_bytes=MAX_MODEL_BYTES).envelope.payload)
    predicates.Release.of(signed)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        said = Status(standing=standing, reason=reason, stated_at=now, successor=successor)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise InputError(
            f"{first['loc'][0]}: {first['msg']}", mend="give a reason, and a version, for a reader"
        ) from None
    return said.about(signed.subjects)


def publish(said: Statement, bundle: bytes, hub: HubClient) -> str:
    """Put the signed word `bundle` of `said` on the branch `status` of the release's repository; where it is there.

    Raises Refused where somebody else committed there at the same moment, and as the Hub does.
    """
    repo, _, tag = said.subjects[0].name.partition("@")
    there = HubReference(repo, tag)
    path = f"{there.revision}/{said.predicate['standing']}-{sha256_bytes(said.to_bytes())[:DIGITS]}{SUFFIX}"
    head = hub.refs.ensure_branch(there.repository, BRANCH)
    keep = tuple(file.path for file in hub.files.list(there.repository, head))
    with tempfile.TemporaryDirectory(prefix="glasshouse-") as name:
        write_atomic(Path(name) / path, bundle)
        words = f"{there.revision} is {said.predicate['standing']}"
        hub.trees.publish(there.repository, Path(name), words, head, branch=BRANCH, keep=keep)
    return f"{BRANCH}:{path}"


def of_directory(folder: Path) -> bytes:
    """The bundle with the release statement of the release in `folder`. Raises InputError where there is none."""
    path = folder / layout.RELEASE_ATTESTATION
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_MODEL_BYTES + 1)
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}", mend="give a signed release") from problem
