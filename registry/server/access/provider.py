"""Signing in at a provider of identities: OpenID Connect's authorization code flow, with PKCE, state and nonce.

The operator names the provider in `oidc.json`, in the server's folder: what another says counts for nothing. Whoever
comes back is known by (issuer, subject) alone. State, nonce and the verifier are made of the secret of the browser's
visit, so only the browser that left can come back, and nothing is kept meanwhile.
Sources: OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9207 (iss); RFC 6749, section 2.3.1.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote_plus, urlencode

import jwt
from pydantic import Field, field_validator

from registry.errors import GlasshouseError
from registry.records.record import Given, Record, absent
from registry.server.access import issuers
from registry.server.access.auth import Links
from registry.server.access.people import ProvidedIdentity
from registry.server.problems import Problem

FILE = "oidc.json"
MAX_BYTES = 64 << 10
MAX_CODE = 4096
MAX_SUBJECT = 255
_KEYS = issuers.Keys()
Words = Annotated[str, Field(min_length=1, max_length=1000)]


class Provider(Record):
    """oidc.json."""

    schema_: Literal["glasshouse.oidc/v1"] = Field("glasshouse.oidc/v1", alias="schema")
    issuer: Words
    """`iss`, exactly: an https:// address, or one on loopback."""
    client_id: Words
    """What the provider calls this server."""
    client_secret: Annotated[Words | None, Given] = absent()
    """What it gave this server to show; None for a client that has none."""
    name: Words = "your organisation"
    """What the sign-in page calls it."""
    newcomers: bool
    """Whether somebody whom it knows becomes a user by signing in; else an operator makes each."""

    @field_validator("issuer")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not issuers.is_safe(value):
            raise ValueError(f"{value[:200]!r} is not an https:// address")
        return value


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody who came back from the provider. wanted: the name that they have there, which proves nothing here."""

    identity: ProvidedIdentity
    wanted: str


@dataclass(frozen=True, slots=True)
class Journey:
    """One browser's way to the provider and back. back: this server's address to come back to."""

    provider: Provider
    links: Links
    visit: str
    back: str

    def start(self) -> str:
        """Where the browser goes. Raises Problem 503 where the provider does not answer."""
        asked = {
            "response_type": "code", "client_id": self.provider.client_id, "redirect_uri": self.back,
            "scope": "openid profile", "state": self._made("state"), "nonce": self._made("nonce"),
            "code_challenge": _plain(sha256(self._made("verifier").encode()).digest()), "code_challenge_method": "S256",
        }  # fmt: skip
        with _answering():
            address = _KEYS.issuer(self.provider.issuer).address("authorization_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    def end(self, answer: Mapping[str, str]) -> Arrival:
        """Who came back with that answer. Raises Problem 403 for one that does not hold, 503 as `start`."""
        state, code = answer.get("state", ""), answer.get("code", "")
        if not hmac.compare_digest(state.encode("utf-8", "surrogateescape"), self._made("state").encode()):
            raise Problem(403, "this browser did not begin to sign in here, or long ago: sign in again")
        if answer.get("iss", self.provider.issuer) != self.provider.issuer:
            raise Problem(403, "another provider has answered")
        if not 0 < len(code) <= MAX_CODE:
            raise Problem(403, f"the provider did not let you in: {answer.get('error', 'no code')[:100]}")
        with _answering():
            told = self._bought(code)
            claims = _claims(str(told.get("id_token", "")), self.provider)
        if not hmac.compare_digest(str(claims.get("nonce")).encode("utf-8", "replace"), self._made("nonce").encode()):
            raise Problem(403, "the identity token is of another sign-in")
        if not 0 < len(claims["sub"]) <= MAX_SUBJECT:
            raise Problem(403, "the identity token names nobody")
        identity = ProvidedIdentity(issuer=self.provider.issuer, subject=claims["sub"])
        return Arrival(identity, str(claims.get("preferred_username", ""))[:100])

    def _bought(self, code: str) -> dict[str, Any]:
        """What the provider gives for the code."""
        issuer, provider = _KEYS.issuer(self.provider.issuer), self.provider
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.back,
                "code_verifier": self._made("verifier")}  # fmt: skip
        ways = issuer.discovery.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        client = None
        if provider.client_secret is None or "client_secret_basic" not in ways:
            secret = {} if provider.client_secret is None else {"client_secret": provider.client_secret}
            form |= {"client_id": provider.client_id, **secret}
        else:
            client = quote_plus(provider.client_id), quote_plus(provider.client_secret)
        return issuers.ask(issuer.address("token_endpoint"), form, client)

    def _made(self, purpose: str) -> str:
        return self.links.bound(f"sign-in {purpose}", self.visit)


def named_in(root: Path) -> Provider | None:
    """The provider of the server in that folder; None where it has none. Raises InputError for another file."""
    path = root / FILE
    return Provider.read(path, max_bytes=MAX_BYTES) if path.exists() else None


def _claims(token: str, provider: Provider) -> dict[str, Any]:
    try:
        claims = _KEYS.claims(token, provider.issuer, provider.client_id)
    except jwt.PyJWTError as problem:
        raise Problem(403, f"the identity token does not hold: {problem}") from problem
    if claims.get("azp", provider.client_id) != provider.client_id:
        raise Problem(403, "the identity token is for another client")
    return claims


@contextmanager
def _answering() -> Iterator[None]:
    """Within: a provider that does not answer is Problem 503."""
    try:
        yield
    except GlasshouseError as problem:
        raise Problem(503, problem.message, headers={"Retry-After": "10"}) from problem


def _plain(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
