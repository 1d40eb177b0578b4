"""Who is asking, and links that say by themselves what they are for.

A signed link is for one action on one object and expires.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from registry.files import write_atomic
from registry.server.access.accounts import Accounts
from registry.server.access.kept import MODE
from registry.server.access.rights import User
from registry.server.locks import locked
from registry.server.problems import Problem

LINK_SECONDS = 3600


def user(accounts: Accounts, authorization: str | None) -> User | None:
    """Who sent that header; None for nobody. `Basic` is git's way: any user name, the token as the password.

    Raises Problem 401 for a token that is not known.
    """
    scheme, _, credential = (authorization or "").partition(" ")
    match scheme.lower():
        case "bearer":
            token = credential.strip()
        case "basic":
            try:
                token = base64.b64decode(credential.strip(), validate=True).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                token = ""
        case _:
            return None
    found = accounts.holder(token)
    if found is None:
        raise Problem(401, "Invalid credentials in Authorization header")
    return found


class Links:
    """Signs links and checks them, with a secret that stands in the server's folder and outlives a restart."""

    def __init__(self, root: Path) -> None:
        path = root / "secret"
        with locked(root / "secret.lock"):  # of several servers that start at once, one makes it
            if not path.exists():
                write_atomic(path, os.urandom(32), MODE)
        self._secret = path.read_bytes()

    def query(self, **claims: str) -> str:
        """The query string that carries `claims`, an expiry and a signature over them."""
        signed = claims | {"expires": str(int(time.time()) + LINK_SECONDS)}
        return urlencode(signed | {"signature": self._sign(signed)})

    def claims(self, query: Mapping[str, str], action: str) -> Mapping[str, str]:
        """The claims of a link. Raises Problem 403 unless it is signed, not expired, and for `action`."""
        claims = {key: value for key, value in query.items() if key != "signature"}
        good = hmac.compare_digest(self._sign(claims).encode(), query.get("signature", "").encode())
        if not good or claims.get("action") != action or int(claims["expires"]) < time.time():
            raise Problem(403, "this link is not valid, or no longer")
        return claims

    def bound(self, purpose: str, secret: str) -> str:
        """What nobody can tell who does not know `secret`, and this server's own; another for each purpose."""
        return hmac.new(self._secret, f"{purpose}\0{secret}".encode("utf-8", "surrogateescape"), "sha256").hexdigest()

    def _sign(self, claims: Mapping[str, str]) -> str:
        return hmac.new(self._secret, urlencode(sorted(claims.items())).encode(), "sha256").hexdigest()
