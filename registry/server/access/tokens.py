"""Tokens of users, and what each may do at most. `tokens.json` in the server's folder; the tokens are not in it.

    read    reads what its user may read
    write   also writes what its user may write, and proposes changes to whatever it can read
    admin   everything, where its user is an admin

A token can be for some namespaces and repositories alone. It never lets its holder do what its user may not do now.

Law: a token that is revoked is declined by every worker at its next request.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from registry.errors import InputError
from registry.hub.reference import DATASETS, check_repository, is_name
from registry.records.record import Given, Record, Sha256, absent
from registry.server.access.audit_log import OPERATOR, AuditLog
from registry.server.access.kept import KeptRecord

FILE = "tokens.json"
MIN_LENGTH = 8
MAX_OF_ONE = 100
"""Tokens of one user that hold at once; those of one workflow, too."""
MAX_PLACES = 200
"""Namespaces and repositories that the tokens of one user name together."""
PREFIX = "hf_"
"""Some clients refuse tokens that begin in another way; those that this server made before are still known."""


class Role(StrEnum):
    """What a token lets its holder do; see above."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class Token(Record):
    """One token, as it is stored."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    """What `glasshouse hub token list` shows and `revoke` takes."""
    name: str
    """Whose it is: a user; for a workflow, the namespace that it publishes to."""
    sha256: Sha256
    """The digest of the token."""
    role: Annotated[Role, Field(strict=False)]
    """What it lets them do."""
    only: tuple[str, ...] | None = absent()
    """The namespaces and repositories that it is for; None for all that its user may reach."""
    label: Annotated[str, Field(max_length=100)] = ""
    """What it is for, in its user's words."""
    workflow: Annotated[str | None, Given] = absent()
    """Which trusted publisher's it is; None for a user's."""
    created: int
    """Seconds since 1970."""
    expires: int | None
    """Seconds since 1970; None for never."""

    @field_validator("only")
    @classmethod
    def _are_places(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for place in value or ():
            if not is_place(place):
                raise ValueError(f"{place[:100]!r} is not a namespace, nor OWNER/NAME of a repository")
        return value

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError(f"{value[:100]!r} is not the name of a user or a namespace")
        return value

    def expired(self, now: float) -> bool:
        """Whether its time is over at `now`."""
        return self.expires is not None and self.expires <= now


def is_place(text: str) -> bool:
    """Whether a token can be for it: `lab`, `lab/model`, `datasets/lab/texts`."""
    if "/" not in text:
        return is_name(text)
    try:
        check_repository(text)
    except InputError:
        return False
    return text.count("/") == 1 + text.startswith(DATASETS)


class KeptTokens(Record):
    """tokens.json."""

    schema_: Literal["glasshouse.tokens/v2"] = Field("glasshouse.tokens/v2", alias="schema")
    tokens: tuple[Token, ...] = ()


class TokenStore:
    """The tokens of the server whose folder is `root`. Read again whenever the file has changed."""

    def __init__(self, root: Path) -> None:
        self._kept = KeptRecord(root / FILE, KeptTokens())
        self._log = AuditLog(root)
        self._indexed: KeptTokens | None = None
        self._by_key: dict[str, Token] = {}

    def find(self, secret: str) -> Token | None:
        """That token; None for one that is not known, revoked, or expired. Raises InputError as `list`."""
        return self._holding(_digest(secret))

    def named(self, token_id: str) -> Token | None:
        """The token of that id, as `find`."""
        return self._holding(token_id)

    def _holding(self, key: str) -> Token | None:
        """The token of that digest, or id, should it hold."""
        known = self._kept.read()
        if known is not self._indexed:
            self._by_key = {key: token for token in known.tokens for key in (token.sha256, token.id)}
            self._indexed = known
        found = self._by_key.get(key)
        return None if found is None or found.expired(time.time()) else found

    def list(self, name: str | None = None) -> tuple[Token, ...]:
        """Every token, or those of one user. Raises InputError for a file that says anything else."""
        return tuple(each for each in self._kept.read().tokens if name in (None, each.name))

    def create(
        self,
        name: str,
        role: Role,
        *,
        only: tuple[str, ...] | None = None,
        label: str = "",
        seconds: int | None = None,
        workflow: str | None = None,
        token: str | None = None,
        by: str = OPERATOR,
    ) -> tuple[Token, str]:
        """(what is stored, the token itself, which is told this once). seconds: how long it lives; None for ever.

        only, label, workflow: as `Token` has them.  token: chosen by the caller, where it must be known before.
        by: who makes it, for the audit log.
        Raises InputError for a bad name, place or token, and for one token too many.
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
            "label": label,
            "created": now,
            "expires": None if seconds is None else now + seconds,
            **({} if only is None else {"only": list(only)}),
            **({} if workflow is None else {"workflow": workflow}),
        }
        made = Token.from_json(row, name="the token")

        def work(known: KeptTokens) -> KeptTokens:
            others = tuple(each for each in known.tokens if each.sha256 != made.sha256 and not each.expired(now))
            own = [each for each in others if (each.name, each.workflow) == (name, workflow)]
            if len(own) >= MAX_OF_ONE:
                raise InputError(f"{workflow or name} has {MAX_OF_ONE} tokens", mend="revoke those that are not needed")
            if workflow is None and sum(len(each.only or ()) for each in (*own, made)) > MAX_PLACES:
                words = f"the tokens of {name} would be for more than {MAX_PLACES} places"
                raise InputError(words, mend="make them for namespaces, or revoke those that are not needed")
            return KeptTokens(tokens=(*others, made))

        self._kept.change(work)
        told = {"role": str(made.role), "only": made.only and list(made.only), "expires": made.expires}
        self._log.add("token created", by, f"{made.name} {made.id}", told)
        return made, secret

    def revoke(self, token_id: str, *, of: str | None = None, by: str = OPERATOR) -> Token:
        """Take a token away. of: the user whose it must be. Raises InputError where there is none of that id."""
        gone: list[Token] = []

        def work(known: KeptTokens) -> KeptTokens:
            gone[:] = [each for each in known.tokens if each.id == token_id and of in (None, each.name)]
            if not gone:
                raise InputError(f"there is no token {token_id[:40]!r}", mend="glasshouse hub token list --root DIR")
            return KeptTokens(tokens=tuple(each for each in known.tokens if each not in gone))

        self._kept.change(work)
        self._log.add("token revoked", by, f"{gone[0].name} {gone[0].id}", {})
        return gone[0]

    def revoke_all(self, name: str, *, by: str = OPERATOR) -> None:
        """Take away every token of a user."""
        for each in self.list(name):
            self.revoke(each.id, by=by)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
