"""Who there is: users, organisations, and what each member may do in them. `people.json` in the server's folder.

    read    reads the private repositories of the namespace
    write   also writes them
    owner   also says who the members are

A user owns the namespace of their own name; in an organisation's they are what its owners say.

Laws: a name is given once, in any case of its letters, to a user or to an organisation; that of who was removed is not
given again. An organisation that has an owner keeps one, until it is removed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from registry.errors import InputError, Refused
from registry.hub.reference import is_name
from registry.records.record import Given, Record, absent
from registry.server.access.audit_log import OPERATOR, AuditLog
from registry.server.access.kept import KeptRecord
from registry.server.names import RESERVED

FILE = "people.json"


class NamespaceRole(StrEnum):
    """What somebody may do in a namespace; see above. From the least to the most."""

    READ = "read"
    WRITE = "write"
    OWNER = "owner"

    def covers(self, least: NamespaceRole) -> bool:
        """Whether it has what `least` has."""
        order = list(NamespaceRole)
        return order.index(self) >= order.index(least)


class ProvidedIdentity(Record):
    """Somebody, as a provider of identities knows them: never an address of mail, which another may get later."""

    issuer: str
    """`iss`, exactly."""
    subject: str
    """`sub`, exactly."""


class UserAccount(Record):
    """A user."""

    name: str
    """Their name, and that of their own namespace."""
    admin: bool
    """Whether they may do everything, with a token that is an admin's."""
    created: int
    """Seconds since 1970."""
    identity: Annotated[ProvidedIdentity | None, Given] = absent()
    """Who signs in as them, where a provider says who somebody is."""
    password: Annotated[str | None, Given] = absent()
    """What argon2 makes of their password."""
    removed: Annotated[int | None, Given] = absent()
    """Since when they are nobody any more; seconds since 1970."""


class Organisation(Record):
    """An organisation."""

    name: str
    """Its name, and that of its namespace."""
    created: int
    """Seconds since 1970."""
    members: dict[str, Annotated[NamespaceRole, Field(strict=False)]]
    """{user: what they may do}."""
    removed: Annotated[int | None, Given] = absent()
    """Since when it is none any more; seconds since 1970."""

    @property
    def owners(self) -> list[str]:
        """Who says who the members are."""
        return [name for name, role in self.members.items() if role is NamespaceRole.OWNER]


class People(Record):
    """people.json."""

    schema_: Literal["glasshouse.people/v1"] = Field("glasshouse.people/v1", alias="schema")
    users: tuple[UserAccount, ...] = ()
    organisations: tuple[Organisation, ...] = ()

    def taken(self, name: str) -> bool:
        """Whether somebody has that name, or had it."""
        names = [*(each.name for each in self.users), *(each.name for each in self.organisations)]
        return name.lower() in map(str.lower, names)

    def user(self, name: str) -> UserAccount | None:
        """The user of that name; None for nobody, and for who was removed."""
        return next((each for each in self.users if each.name == name and each.removed is None), None)

    def organisation(self, name: str) -> Organisation | None:
        """The organisation of that name; None for none, and for one that was removed."""
        return next((each for each in self.organisations if each.name == name and each.removed is None), None)

    def removed(self, name: str) -> bool:
        """Whether that was an organisation, which is none any more."""
        return any(each.name == name and each.removed is not None for each in self.organisations)

    def roles(self, name: str) -> dict[str, NamespaceRole]:
        """{organisation: what the user of that name may do in it}."""
        return {each.name: each.members[name] for each in self.organisations if name in each.members}

    def with_user(self, account: UserAccount) -> People:
        """With that user in the place of who had the name."""
        others = tuple(each for each in self.users if each.name != account.name)
        return self.model_copy(update={"users": (*others, account)})

    def with_role(self, organisation: str, user: str, role: NamespaceRole | None) -> People:
        """With that user as a member, or not where `role` is None. Raises InputError; Refused for the last owner."""
        found = self.organisation(organisation)
        if found is None:
            raise _no_organisation(organisation)
        if role is not None and self.user(user) is None:
            raise _nobody(user)
        if role is None and user not in found.members:
            raise InputError(f"{user[:100]!r} is not a member of {organisation}", mend="glasshouse hub org list")
        members = {name: kept for name, kept in found.members.items() if name != user}
        members |= {user: role} if role is not None else {}
        changed = found.model_copy(update={"members": members})
        if found.owners and not changed.owners:
            raise Refused(f"{user} is the last owner of {organisation}", mend="make somebody else an owner first")
        others = tuple(each for each in self.organisations if each is not found)
        return self.model_copy(update={"organisations": (*others, changed)})


@dataclass(frozen=True, slots=True)
class NewName:
    """A name to be given. Raises InputError for one that nobody can have."""

    text: str

    def __post_init__(self) -> None:
        if not is_name(self.text) or self.text.lower() in RESERVED:
            raise InputError(
                f"{self.text[:100]!r} is not the name of a user or an organisation",
                mend="take letters, digits, `.`, `_` and `-`, and none of the server's own words",
            )


class PeopleStore:
    """The people of the server whose folder is `root`. by: who does it, for the audit log."""

    def __init__(self, root: Path) -> None:
        self._kept = KeptRecord(root / FILE, People())
        self._log = AuditLog(root)

    def read(self) -> People:
        """Everybody, as of now. Raises InputError for a file that says anything else."""
        return self._kept.read()

    def settled(self) -> People:
        """Everybody, once an organisation that is just being removed is so."""
        return self._kept.settled()

    def user(self, name: str) -> UserAccount:
        """The user of that name. Raises InputError for nobody."""
        found = self.read().user(name)
        if found is None:
            raise _nobody(name)
        return found

    def bound_to(self, identity: ProvidedIdentity) -> UserAccount | None:
        """Who signs in by that identity; None for nobody."""
        users = self.read().users
        return next((each for each in users if each.identity == identity and each.removed is None), None)

    def create_user(
        self, name: str, *, admin: bool = False, identity: ProvidedIdentity | None = None, by: str = OPERATOR
    ) -> UserAccount:
        """Make a user. Raises InputError for a name that cannot be given, Refused for one that is given."""
        made = UserAccount(name=NewName(name).text, admin=admin, created=int(time.time()), identity=identity)

        def work(people: People) -> People:
            _check_free(people, name)
            _check_unbound(people, identity)
            return people.with_user(made)

        self._kept.change(work)
        self._note("user created", by, name, admin=admin, **_told(identity))
        return made

    def change_user(self, name: str, *, event: str, by: str = OPERATOR, **changed: Any) -> UserAccount:
        """Change fields of a user; `event` says for the log what was done. Raises InputError, and Refused."""

        def work(people: People) -> People:
            found = people.user(name)
            if found is None:
                raise _nobody(name)
            if changed.get("identity") != found.identity:
                _check_unbound(people, changed.get("identity"))
            return people.with_user(found.model_copy(update=changed))

        made = self._kept.change(work).user(name)
        facts = {key: value for key, value in changed.items() if key == "admin"}
        self._note(event, by, name, **facts, **_told(changed.get("identity")))
        assert made is not None
        return made

    def remove_user(self, name: str, *, by: str = OPERATOR) -> None:
        """Let somebody be a user no more. Raises InputError for nobody, Refused for an organisation's last owner."""

        def work(people: People) -> People:
            found = people.user(name)
            if found is None:
                raise _nobody(name)
            for organisation in people.roles(name):
                people = people.with_role(organisation, name, None)
            gone = {"removed": int(time.time()), "password": None, "identity": None, "admin": False}
            return people.with_user(found.model_copy(update=gone))

        self._kept.change(work)
        self._note("user removed", by, name)

    def create_organisation(self, name: str, owner: str | None, *, by: str = OPERATOR) -> Organisation:
        """Make an organisation. Raises InputError for a bad name, or where the owner is nobody, Refused as a user."""
        members = {} if owner is None else {owner: NamespaceRole.OWNER}
        made = Organisation(name=NewName(name).text, created=int(time.time()), members=members)

        def work(people: People) -> People:
            _check_free(people, name)
            if owner is not None and people.user(owner) is None:
                raise _nobody(owner)
            return people.model_copy(update={"organisations": (*people.organisations, made)})

        self._kept.change(work)
        self._note("organisation created", by, name, **({} if owner is None else {"owner": owner}))
        return made

    def remove_organisation(self, name: str, *, check: Callable[[], None] = lambda: None, by: str = OPERATOR) -> None:
        """Let an organisation be none any more: nobody is a member. Raises InputError where there is none.

        check: raises where it cannot be; nobody changes who there is meanwhile.
        """

        def work(people: People) -> People:
            found = people.organisation(name)
            if found is None:
                raise _no_organisation(name)
            check()
            gone = found.model_copy(update={"members": {}, "removed": int(time.time())})
            others = tuple(each for each in people.organisations if each is not found)
            return people.model_copy(update={"organisations": (*others, gone)})

        self._kept.change(work)
        self._note("organisation removed", by, name)

    def set_role(self, organisation: str, user: str, role: NamespaceRole | None, *, by: str = OPERATOR) -> None:
        """Make somebody a member, or not where `role` is None. Raises InputError, and Refused for the last owner."""
        self._kept.change(lambda people: people.with_role(organisation, user, role))
        facts = {"user": user, "role": str(role)} if role is not None else {"user": user}
        self._note("member removed" if role is None else "role given", by, organisation, **facts)

    def vouch(self, name: str, role: NamespaceRole, namespaces: Iterable[str], *, admin: bool = False) -> None:
        """What an operator means who gives a token: there is such a user, and they have that role at the least.

        Raises InputError and Refused for names that cannot be given.
        """
        if self.read().user(name) is None:
            self.create_user(name, admin=admin)
        elif admin and not self.user(name).admin:
            self.change_user(name, event="user changed", admin=True)
        for namespace in namespaces:
            if namespace == name:
                continue
            if self.read().organisation(namespace) is None:
                self.create_organisation(namespace, None)
            has = self.read().roles(name).get(namespace)
            if has is None or not has.covers(role):
                self.set_role(namespace, name, role)

    def _note(self, event: str, by: str, about: str, **facts: object) -> None:
        self._log.add(event, by, about, facts)


def _check_free(people: People, name: str) -> None:
    if people.taken(name):
        raise Refused(f"the name {name} is given, or was", mend="take another one")


def _check_unbound(people: People, identity: ProvidedIdentity | None) -> None:
    if identity is not None and any(each.identity == identity for each in people.users):
        raise Refused(f"{identity.subject} of {identity.issuer} signs in as somebody already", mend="remove that first")


def _nobody(name: str) -> InputError:
    return InputError(f"nobody here is called {name[:100]!r}", mend="glasshouse hub user list")


def _no_organisation(name: str) -> InputError:
    return InputError(f"there is no organisation {name[:100]!r}", mend="glasshouse hub org list")


def _told(identity: ProvidedIdentity | None) -> Mapping[str, str]:
    return {} if identity is None else {"issuer": identity.issuer, "subject": identity.subject}
