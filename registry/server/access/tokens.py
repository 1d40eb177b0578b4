"""Who has a token, and what it lets them do. `tokens.json` in the server's folder; tokens themselves are not in it.

    read    reads private repositories of its owner and namespaces
    write   also writes them, and proposes changes to whatever it can read
    admin   everything, and alone: deletes repositories

Law: a token that is revoked is declined by every worker at its next request.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from registry.errors import InputError
from registry.files import write_atomic
from registry.hub.reference import is_name
from registry.records.record import Record, Sha256
from registry.server.access.audit_log import OPERATOR, AuditLog
from registry.server.locks import locked
from registry.server.names import RepoName

FILE = "tokens.json"
MAX_BYTES = 8 << 20
MIN_LENGTH = 8
PREFIX = "hf_"
"""Some clients refuse tokens that begin in another way; those that this server made before are still known."""


class Role(StrEnum):
    """What a token lets its holder do; see above."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a token. namespaces: those whose repositories it is for, besides their own.

    repo: the one repository that it is for, as `owner/name` or `datasets/owner/name`; None for no such limit.
    token: the id of the token: two of one name may have other rights.
    """

    name: str
    namespaces: tuple[str, ...] = ()
    role: Role = Role.WRITE
    repo: str | None = None
    token: str = field(default="", compare=False)

    def may_read(self, name: RepoName) -> bool:
        """Whether that repository, should it be private, is theirs to read."""
        if self.repo is not None and self.repo != name.url_path:
            return False
        return self.role is Role.ADMIN or name.owner == self.name or name.owner in self.namespaces

    def may_write(self, name: RepoName) -> bool:
        """Whether that repository is theirs to write."""
        return self.role is not Role.READ and self.may_read(name)

    @property
    def may_propose(self) -> bool:
        """Whether they may open pull requests where they can read."""
        return self.role is not Role.READ


class Token(Record):
    """One token, as it is stored."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    """What `glasshouse hub token list` shows and `revoke` takes."""
    name: str
    """Whose it is."""
    sha256: Sha256
    """The digest of the token."""
    role: Annotated[Role, Field(strict=False)]
    """What it lets them do."""
    namespaces: tuple[str, ...]
    """Whose repositories it is for, besides their own."""
    repo: str | None = None
    """The one repository that it is for; None for no such limit."""
    created: int
    """Seconds since 1970."""
    expires: int | None
    """Seconds since 1970; None for never."""

    @field_validator("name", "namespaces")
    @classmethod
    def _are_names(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if not is_name(name):
                raise ValueError(f"{name[:100]!r} is not the name of a user or a namespace")
        return value

    def expired(self, now: float) -> bool:
        """Whether its time is over at `now`."""
        return self.expires is not None and self.expires <= now

    @property
    def user(self) -> User:
        """Whom it stands for."""
        return User(self.name, self.namespaces, self.role, self.repo, self.id)


class _Tokens(Record):
    """tokens.json."""

    schema_: Literal["glasshouse.tokens/v1"] = Field("glasshouse.tokens/v1", alias="schema")
    tokens: tuple[Token, ...] = ()


class TokenStore:
    """The tokens of the server whose folder is `root`. Read again whenever the file has changed."""

    def __init__(self, root: Path) -> None:
        self._path = root / FILE
        self._seen: tuple[int, int, int] | None = None
        self._by_digest: dict[str, Token] = {}

    def user(self, token: str) -> User | None:
        """Whose token that is; None for one that is not known, revoked, or expired. Raises InputError as `list`."""
        self._refresh()
        found = self._by_digest.get(_digest(token))
        if found is None or found.expired(time.time()):
            return None
        return found.user

    def list(self) -> tuple[Token, ...]:
        """Every token. Raises InputError for a file that says anything else."""
        return self._read().tokens

    def create(
        self,
        name: str,
        role: Role,
        namespaces: tuple[str, ...] = (),
        *,
        seconds: int | None = None,
        repo: str | None = None,
        token: str | None = None,
        by: str = OPERATOR,
    ) -> tuple[Token, str]:
        """(what is stored, the token itself, which is told this once). seconds: how long it lives; None for ever.

        repo: the one repository that it is for.  token: chosen by the caller, where it must be known before.
        by: who makes it, for the audit log.
        Raises InputError for a bad name or token.
        """
        secret = token or PREFIX + secrets.token_urlsafe(32)
        if len(secret) < MIN_LENGTH or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise InputError(f"a token has {MIN_LENGTH} printable characters or more", mend="leave it to the command")
        now = int(time.time())
        row = {
            "id": secrets.token_hex(6),
            "name": name,
            "sha256": _digest(secret),
            "role": str(role),
            "namespaces": list(namespaces),
            "repo": repo,
            "created": now,
            "expires": None if seconds is None else now + seconds,
        }
        made = Token.from_json(row, name="the token")
        with self._lock():
            others = tuple(each for each in self._read().tokens if each.sha256 != made.sha256 and not each.expired(now))
            self._write(_Tokens(tokens=(*others, made)))
        told = {"namespaces": list(made.namespaces), "role": str(made.role), "repo": made.repo, "expires": made.expires}
        AuditLog(self._path.parent).add("token created", by, f"{made.name} {made.id}", told)
        return made, secret

    def revoke(self, token_id: str) -> Token:
        """Take a token away. Raises InputError where there is none of that id."""
        with self._lock():
            tokens = self._read().tokens
            gone = next((token for token in tokens if token.id == token_id), None)
            if gone is None:
                raise InputError(f"there is no token {token_id[:40]!r}", mend="glasshouse hub token list --root DIR")
            self._write(_Tokens(tokens=tuple(token for token in tokens if token is not gone)))
        AuditLog(self._path.parent).add("token revoked", OPERATOR, f"{gone.name} {gone.id}", {})
        return gone

    def _refresh(self) -> None:
        try:
            info = self._path.stat()
        except FileNotFoundError:
            self._seen, self._by_digest = None, {}
            return
        now = (info.st_ino, info.st_mtime_ns, info.st_size)
        if now != self._seen:
            self._by_digest = {token.sha256: token for token in self._read().tokens}
            self._seen = now

    def _read(self) -> _Tokens:
        if not self._path.exists():
            return _Tokens()
        return _Tokens.read(self._path, max_bytes=MAX_BYTES)

    def _write(self, tokens: _Tokens) -> None:
        write_atomic(self._path, tokens.to_bytes())

    def _lock(self) -> AbstractContextManager[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return locked(self._path.with_suffix(".lock"))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
