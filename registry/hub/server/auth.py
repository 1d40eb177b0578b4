"""Who is asking, what they may do, and links that say so by themselves.

Tokens are kept as SHA-256 only. A signed link is for one action on one object and expires.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from registry.errors import InputError
from registry.files import write_atomic
from registry.hub.reference import is_name
from registry.hub.server.problems import Problem

LINK_SECONDS = 3600
MAX_TOKEN_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a token. organizations: those whose repositories they may write, besides their own."""

    name: str
    organizations: tuple[str, ...] = ()

    def may_write(self, owner: str) -> bool:
        """Whether the repositories of `owner` are theirs to write."""
        return owner == self.name or owner in self.organizations


class Tokens:
    """The tokens this server knows."""

    def __init__(self, users: Mapping[str, User]) -> None:
        """`users`: by token."""
        self._users = {_hash(token): user for token, user in users.items()}

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """From lines `name:token` or `name:token:organization,organization`; `#` starts a comment line.

        Raises InputError for a file that cannot be read or says anything else.
        """
        try:
            with path.open("rb") as stream:
                lines = stream.read(MAX_TOKEN_FILE).decode("utf-8").splitlines()
        except (OSError, UnicodeError) as problem:
            raise InputError(f"{path} cannot be read: {problem}", mend="give a readable file of tokens") from problem
        users = {}
        for number, line in enumerate(lines, start=1):
            if line.strip() and not line.startswith("#"):
                token, user = _line(path, number, line.strip())
                users[token] = user
        return cls(users)

    def user(self, authorization: str | None) -> User | None:
        """Who sent that header; None for nobody. Raises Problem 401 for a token that is not known."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        user = self._users.get(_hash(token.strip()))
        if user is None:
            raise Problem(401, "Invalid credentials in Authorization header")
        return user


class Links:
    """Signs links and checks them, with a secret that stands in the server's folder and outlives a restart."""

    def __init__(self, root: Path) -> None:
        path = root / "secret"
        if not path.exists():
            write_atomic(path, os.urandom(32))
            path.chmod(0o600)
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

    def _sign(self, claims: Mapping[str, str]) -> str:
        return hmac.new(self._secret, urlencode(sorted(claims.items())).encode(), "sha256").hexdigest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _line(path: Path, number: int, line: str) -> tuple[str, User]:
    match line.split(":"):
        case [name, token, *rest] if len(rest) <= 1 and len(token) >= 8:
            organizations = tuple(filter(None, rest[0].split(","))) if rest else ()
            if all(is_name(each) for each in (name, *organizations)):
                return token, User(name, organizations)
    raise InputError(
        f"{path}, line {number}: expected name:token:organization,organization (a token has 8 characters or more)",
        mend=f"mend line {number} of {path}",
    )
