"""Tokens and sessions, each put together with what its user may do now: who it is that asks.

Law: a right that is taken away, or a user who is removed, is gone at the next request, whatever they ask with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from registry.errors import InputError, Refused
from registry.server.access import publishers
from registry.server.access.audit_log import OPERATOR
from registry.server.access.people import NamespaceRole, PeopleStore, UserAccount
from registry.server.access.rights import User
from registry.server.access.sessions import SessionStore
from registry.server.access.tokens import Role, Token, TokenStore
from registry.server.names import KINDS
from registry.server.store.places import REPOSITORIES


@dataclass(frozen=True, slots=True)
class Accounts:
    """All that the server in a folder knows of people."""

    root: Path
    """The server's folder."""
    people: PeopleStore
    """Users and organisations."""
    tokens: TokenStore
    """What they ask with, or their programs."""
    sessions: SessionStore
    """What their browsers ask with."""

    @classmethod
    def of(cls, root: Path) -> Accounts:
        """Those of the server in the folder `root`."""
        return cls(root, PeopleStore(root), TokenStore(root), SessionStore(root))

    def holder(self, secret: str) -> User | None:
        """Who asks with that token; None where it is not known, or its user is removed. Raises InputError."""
        return self._holder(self.tokens.find(secret))

    def named(self, token_id: str) -> User | None:
        """Who asks with the token of that id, as `holder`."""
        return self._holder(self.tokens.named(token_id))

    def _holder(self, token: Token | None) -> User | None:
        if token is None:
            return None
        if token.workflow is not None:  # a repository's own: no person stands behind it
            return User(token.name, role=token.role, only=token.only, token=token.id, is_person=False)
        return self._user(token.name, token.role, token.only, token.id)

    def visitor(self, secret: str) -> User | None:
        """Whose browser asks with that session; None where it has ended. Raises InputError as a store."""
        name = self.sessions.user(secret)
        return None if name is None else self._user(name, Role.ADMIN, None, "")

    def issue(
        self,
        name: str,
        role: Role,
        namespaces: tuple[str, ...] = (),
        *,
        only: tuple[str, ...] | None = None,
        label: str = "",
        seconds: int | None = None,
        token: str | None = None,
    ) -> tuple[Token, str]:
        """A token by the operator, as `TokenStore.create`: where there is no such user, one is made.

        namespaces: organisations, made if missing, in which the user gets what the token is to do there.
        Raises InputError and Refused for bad names.
        """
        least = NamespaceRole.READ if role is Role.READ else NamespaceRole.WRITE
        self.people.vouch(name, least, namespaces, admin=role is Role.ADMIN)
        return self.tokens.create(name, role, only=only, label=label, seconds=seconds, token=token)

    def remove(self, name: str, *, by: str = OPERATOR) -> None:
        """Let somebody be a user no more: their tokens and sessions end, and who was trusted with what is theirs.

        Raises as `PeopleStore.remove_user`.
        """
        self.people.remove_user(name, by=by)
        self._end(name, by)
        self.sessions.close_all(name)

    def remove_organisation(self, name: str, *, by: str = OPERATOR) -> None:
        """Let an organisation be none any more. Its name is not given again.

        Raises Refused while it has repositories, InputError where there is none.
        """

        def check() -> None:
            owned = [path for kind in KINDS for path in (self.root / REPOSITORIES / kind / name).glob("*.git")]
            if owned:
                words = f"{name} has {len(owned)} repositories"
                raise Refused(words, mend="move them to another owner, or delete them first")

        self.people.remove_organisation(name, check=check, by=by)
        self._end(name, by)

    def _end(self, namespace: str, by: str) -> None:
        """Take away the tokens that are of a namespace, and its trusted publishers."""
        publishers.forget(self.root, namespace, by=by)  # first, or they would buy new ones
        self.tokens.revoke_all(namespace, by=by)

    def set_password(self, name: str, encoded: str, *, by: str = OPERATOR) -> UserAccount:
        """Give a user that password, as argon2 has it; their sessions end. Raises InputError for nobody."""
        made = self.people.change_user(name, event="password set", by=by, password=encoded)
        self.sessions.close_all(name)
        return made

    def _user(self, name: str, role: Role, only: tuple[str, ...] | None, token: str) -> User | None:
        people = self.people.read()
        account = people.user(name)
        if account is None:
            return None
        most = Role.WRITE if role is Role.ADMIN and not account.admin else role
        return User(name, people.roles(name), most, only, token)


def check_places(user: User, only: tuple[str, ...]) -> None:
    """Raise InputError where a token for `only` would be for what its user has no part in."""
    for place in only:
        owner = place.split("/")[-2] if "/" in place else place
        if user.role is not Role.ADMIN and user.role_in(owner) is None:
            raise InputError(f"{user.name} has no part in {owner[:100]}", mend="name your own namespaces")
