"""The OpenID Connect issuer: mints identity tokens for whoever asks, and checks them as Fulcio must.

Source: OpenID Connect Core 1.0, sections 2 and 3.1.3.7.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.sigstore_instance.errors import Rejected
from tests.sigstore_instance.keys import SigningKey

ISSUER = "https://issuer.sigstore-instance.test"
"""The issuer's name in tokens and certificates. It is no address: `.test` is reserved (RFC 2606) and never resolves."""
AUDIENCE = "sigstore"


@dataclass(frozen=True)
class Identity:
    """Who a checked token speaks for."""

    subject: str
    issuer: str
    claims: Mapping[str, str] = field(default_factory=dict)
    """Of a CI run, by the name of a Fulcio extension: see `ca.CLAIMS`."""


class Issuer:
    """Mints and checks tokens under one ES256 key."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def token(
        self, identity: str, *, audience: str = AUDIENCE, lifetime: int = 600, claims: Mapping[str, str] | None = None
    ) -> str:
        """An identity token for `identity`, valid `lifetime` seconds from now (negative: already expired).

        claims: of a CI run, as they are to stand in the certificate.
        """
        now = int(time.time())
        body = {"iss": ISSUER, "sub": identity, "aud": audience, "iat": now, "nbf": now - 5, "exp": now + lifetime}
        return jwt.encode(body | {"ci": dict(claims or {})}, self._key.private, algorithm="ES256")

    def check(self, token: str) -> Identity:
        """Whom `token` names. Raises Rejected for another key, audience or issuer, and for an expired token."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public,
                algorithms=["ES256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["iss", "sub", "aud", "iat", "exp"]},
            )
        except jwt.InvalidTokenError as problem:
            raise Rejected(401, f"the identity token is not accepted: {problem}") from problem
        return Identity(claims["sub"], claims["iss"], claims.get("ci", {}))

    @staticmethod
    def discovery(url: str) -> dict[str, str]:
        """The discovery document."""
        return {"issuer": ISSUER, "authorization_endpoint": f"{url}/auth", "token_endpoint": f"{url}/token"}
