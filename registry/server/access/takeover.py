"""What was once tokens alone becomes people and their tokens: tokens.json of format v1.

There, a token said whose it was and for which namespaces. Now its user is a member of those, with what the strongest of
their tokens had; a token that named fewer of them than its user is now a member of is for those alone, as it was.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from registry import canonical
from registry.files import write_atomic
from registry.records.record import Record, Sha256
from registry.server.access import people, tokens
from registry.server.access.kept import MAX_BYTES, MODE
from registry.server.access.people import NamespaceRole, Organisation, People, UserAccount
from registry.server.access.tokens import KeptTokens, Role, Token

OLD = "glasshouse.tokens/v1"
PUBLISHER = "a trusted publisher"
"""The workflow of an old token for one repository: who it was is in the audit log."""


class _OldToken(Record):
    """A token as it was."""

    id: str
    name: str
    sha256: Sha256
    role: Annotated[Role, Field(strict=False)]
    namespaces: tuple[str, ...]
    repo: str | None = None
    created: int
    expires: int | None


class _OldTokens(Record):
    """tokens.json as it was."""

    schema_: Literal["glasshouse.tokens/v1"] = Field("glasshouse.tokens/v1", alias="schema")
    tokens: tuple[_OldToken, ...] = ()


def take_over(root: Path) -> None:
    """Bring tokens.json to its present format, and make people.json. Raises InputError for files of no format.

    Law: done once more, it changes nothing; a power cut between the two files leaves what it can begin again with.
    """
    path = root / tokens.FILE
    if not path.exists():
        return
    value = canonical.read(path, max_bytes=MAX_BYTES)
    if not isinstance(value, dict) or value.get("schema") != OLD:
        return
    old = _OldTokens.from_json(value, name=path.name).tokens
    holders = people_of(old, int(time.time()))
    write_atomic(root / people.FILE, holders.to_bytes(), MODE)
    write_atomic(path, KeptTokens(tokens=tuple(_token(each, holders) for each in old)).to_bytes(), MODE)


def people_of(old: tuple[_OldToken, ...], now: int) -> People:
    """The people that those tokens speak of."""
    held = [each for each in old if each.repo is None]
    users = {each.name: False for each in held} | {each.name: True for each in held if each.role is Role.ADMIN}
    members: dict[str, dict[str, NamespaceRole]] = {}
    for each in held:
        role = NamespaceRole.READ if each.role is Role.READ else NamespaceRole.WRITE
        for namespace in set(each.namespaces) - {each.name}:
            there = members.setdefault(namespace, {})
            there[each.name] = max(role, there.get(each.name, role), key=list(NamespaceRole).index)
    return People(
        users=tuple(UserAccount(name=name, admin=admin, created=now) for name, admin in users.items()),
        organisations=tuple(Organisation(name=name, created=now, members=who) for name, who in members.items()),
    )


def _token(old: _OldToken, holders: People) -> Token:
    """The token as it is now. It never does more than it did."""
    only: tuple[str, ...] | None = None
    if old.repo is not None:
        only = (old.repo,)
    elif old.role is not Role.ADMIN and not holders.roles(old.name).keys() <= set(old.namespaces):
        only = tuple(dict.fromkeys((old.name, *old.namespaces)))
    return Token(
        id=old.id, name=old.name, sha256=old.sha256, role=old.role, only=only, created=old.created, expires=old.expires,
        workflow=PUBLISHER if old.repo is not None else None,
    )  # fmt: skip
