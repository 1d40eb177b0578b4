"""Trusted Publishers: a workflow's identity token becomes a token of this server, for one repository and one hour.

An admin names the issuer, the exact subject and the audience.
Sources: RFC 8693 (token exchange), RFC 7519 (JWT).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import jwt
from pydantic import Field, field_validator

from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, InputError
from registry.files import write_atomic
from registry.hub.reference import DATASETS, check_repository
from registry.records.record import Record
from registry.server.access.audit_log import OPERATOR, AuditLog
from registry.server.access.issuers import LEEWAY_SECONDS, Keys, is_safe
from registry.server.access.tokens import Role, TokenStore
from registry.server.problems import Problem

FILE = "publishers.json"
SECONDS = 3600
USED = "used-identities"
_KEYS = Keys()
Words = Annotated[str, Field(min_length=1, max_length=1000)]


class Publisher(Record):
    """Whom to believe, about which repository."""

    issuer: Words
    """`iss`, exactly."""
    subject: Words
    """`sub`, exactly: on GitHub `repo:OWNER/NAME:environment:RELEASE`, or `…:ref:refs/heads/main`."""
    audience: Words
    """`aud`: this server's address, as clients have it in HF_ENDPOINT."""
    repo: str
    """`owner/name`, or `datasets/owner/name`."""

    @field_validator("repo")
    @classmethod
    def _is_repository(cls, value: str) -> str:
        try:
            check_repository(value)
        except InputError as problem:
            raise ValueError(problem.message) from problem
        return value

    @field_validator("issuer")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not is_safe(value):
            raise ValueError(f"{value[:200]!r} is not an https:// address")
        return value


class _Publishers(Record):
    """publishers.json."""

    schema_: Literal["glasshouse.publishers/v1"] = Field("glasshouse.publishers/v1", alias="schema")
    publishers: tuple[Publisher, ...] = ()


def listed(root: Path) -> tuple[Publisher, ...]:
    """Those that the server in `root` trusts. Raises InputError for a file that says anything else."""
    path = root / FILE
    return _Publishers.read(path).publishers if path.exists() else ()


def trust(root: Path, publisher: Publisher) -> None:
    """Add one."""
    root.mkdir(parents=True, exist_ok=True)
    others = tuple(each for each in listed(root) if each != publisher)
    write_atomic(root / FILE, _Publishers(publishers=(*others, publisher)).to_bytes())
    told = {"issuer": publisher.issuer, "subject": publisher.subject}
    AuditLog(root).add("publisher trusted", OPERATOR, publisher.repo, told)


def forget(root: Path, namespace: str, *, by: str = OPERATOR) -> None:
    """Trust nobody any more with the repositories of a namespace."""
    known = listed(root)
    gone = [each for each in known if each.repo.removeprefix(DATASETS).split("/")[0] == namespace]
    if gone:
        rest = tuple(each for each in known if each not in gone)
        write_atomic(root / FILE, _Publishers(publishers=rest).to_bytes())
    for each in gone:
        AuditLog(root).add("publisher forgotten", by, each.repo, {"issuer": each.issuer, "subject": each.subject})


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A token that an identity token bought. seconds: how long it lives."""

    token: str
    seconds: int


def exchange(root: Path, tokens: TokenStore, identity: str, resource: str) -> Exchanged:
    """A token that writes to `resource`, for the identity token of somebody trusted with it.

    Each identity token buys one, so that one that leaks from a log buys nothing. Raises Problem 400 for what is not an
    identity token, 403 for nobody that is trusted, 503 where the issuer's keys cannot be had: that is one to try again.
    """
    try:
        said = jwt.decode(identity, options={"verify_signature": False})
        named = said.get("iss"), said.get("sub")
        signed = identity.rpartition(".")[0]
    except jwt.InvalidTokenError as problem:
        raise Problem(400, "the subject token is not an identity token") from problem
    for publisher in listed(root):
        if publisher.repo == resource and (publisher.issuer, publisher.subject) == named:
            claims = _verify(identity, publisher)
            _use_up(root, signed, int(claims["exp"]))
            name = resource.removeprefix(DATASETS).split("/")[0]
            _, token = tokens.create(
                name, Role.WRITE, seconds=SECONDS, only=(resource,), workflow=publisher.subject, by=publisher.subject
            )
            return Exchanged(token, SECONDS)
    raise Problem(403, f"nobody of that identity may publish to {resource[:200]}")


def _verify(identity: str, publisher: Publisher) -> dict[str, Any]:
    try:
        return _KEYS.claims(identity, publisher.issuer, publisher.audience)
    except jwt.PyJWTError as problem:
        raise Problem(403, f"the identity token does not hold: {problem}") from problem
    except GlasshouseError as problem:
        raise Problem(503, problem.message, headers={"Retry-After": "10"}) from problem


def _use_up(root: Path, signed: str, expires: int) -> None:
    """Take note that this identity token was used, until it expires. Raises Problem 403 where it was before."""
    folder, now = root / USED, time.time()
    folder.mkdir(exist_ok=True)
    for item in folder.iterdir():
        with suppress(FileNotFoundError):
            if item.stat().st_mtime < now - LEEWAY_SECONDS:
                item.unlink()
    note = folder / sha256_bytes(signed.encode())
    try:
        note.touch(exist_ok=False)
    except FileExistsError as problem:
        raise Problem(403, "this identity token was used before: ask for a new one") from problem
    os.utime(note, (now, expires + LEEWAY_SECONDS))
