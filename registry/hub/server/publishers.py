"""Trusted Publishers: a workflow's identity token becomes a token of this server, for one repository and one hour.

An admin names the issuer, the exact subject and the audience; the issuer's keys are fetched from where its discovery
document says, over HTTPS (or loopback).

Sources: RFC 8693 (token exchange), OpenID Connect Discovery 1.0, RFC 7519 (JWT).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import jwt
import requests
from pydantic import Field, field_validator

from registry import canonical
from registry.errors import GlasshouseError, InputError, Unavailable
from registry.files import write_atomic
from registry.hub.reference import check_repository
from registry.hub.server.problems import Problem
from registry.hub.server.tokens import Role, TokenStore
from registry.records.record import Record

FILE = "publishers.json"
SECONDS = 3600
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
LEEWAY_SECONDS = 30
TIMEOUT = (5, 10)
MAX_ANSWER = 1 << 20
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
        if not _is_safe(value):
            raise ValueError(f"{value[:200]!r} is no https:// address")
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


def exchange(root: Path, tokens: TokenStore, identity: str, resource: str) -> tuple[str, int]:
    """(a token that writes to `resource`, its seconds) for the identity token of somebody trusted with it.

    Raises Problem 400 for what is no identity token, 403 for nobody that is trusted, 503 where the issuer's keys
    cannot be had: that is one to try again.
    """
    try:
        said = jwt.decode(identity, options={"verify_signature": False})
        named = said.get("iss"), said.get("sub")
    except jwt.InvalidTokenError as problem:
        raise Problem(400, "the subject token is no identity token") from problem
    for publisher in listed(root):
        if publisher.repo == resource and (publisher.issuer, publisher.subject) == named:
            _verify(identity, publisher)
            name = resource.removeprefix("datasets/").split("/")[0]
            _, token = tokens.create(name, Role.WRITE, seconds=SECONDS, repo=resource)
            return token, SECONDS
    raise Problem(403, f"nobody of that identity may publish to {resource[:200]}")


def _verify(identity: str, publisher: Publisher) -> None:
    try:
        key = _key(publisher.issuer, jwt.get_unverified_header(identity).get("kid"))
        jwt.decode(
            identity,
            key,
            algorithms=ALGORITHMS,
            audience=publisher.audience,
            issuer=publisher.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "aud", "iss", "sub"]},
        )
    except jwt.PyJWTError as problem:
        raise Problem(403, f"the identity token does not hold: {problem}") from problem
    except GlasshouseError as problem:
        raise Problem(503, problem.message, headers={"Retry-After": "10"}) from problem


def _key(issuer: str, key_id: str | None) -> jwt.PyJWK:
    """The issuer's key of that id. Raises PyJWTError where there is none, Unavailable where it does not answer."""
    discovery = _get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    address = str(discovery.get("jwks_uri", ""))
    if not _is_safe(address):
        raise Unavailable(f"{issuer} names no address of its keys", mend="check the issuer")
    for key in jwt.PyJWKSet.from_dict(_get(address)).keys:
        if key.key_id == key_id and key_id is not None:
            return key
    raise jwt.InvalidKeyError("the issuer has no key of that id")


def _get(address: str) -> dict[str, Any]:
    try:
        with requests.get(address, timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
            answer.raise_for_status()
            data = answer.raw.read(MAX_ANSWER, decode_content=True)
        value = canonical.parse(data, name=address, max_bytes=MAX_ANSWER)
    except (requests.RequestException, InputError) as problem:
        raise Unavailable(f"{address} does not answer: {problem}", mend="try again later") from problem
    return value if isinstance(value, dict) else {}


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"))
