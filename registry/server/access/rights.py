"""Who may do what with a repository. `may` is the one rule; all else asks it.

    read      what is public, anybody; what is private, the members of its namespace
    open      its files, who may read it; where it has a gate, the members, and who was let in
    propose   whoever can read it, with a token that is for more than reading
    write     those who write in its namespace, with such a token
    move      those who may write both to the one name and to the other
    delete    the owners of its namespace, with such a token, until something is released there; then an admin

What a token is not for, its holder may not do, but read what is public. What somebody may not read is as good as not
there: 404, not 403.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from registry.server.access.people import NamespaceRole
from registry.server.access.tokens import Role
from registry.server.names import RepoName
from registry.server.problems import GATED, REPO_NOT_FOUND, Problem
from registry.server.store import pulls
from registry.server.store.commits import MAX_BODY
from registry.server.store.gates import AccessGate
from registry.server.store.pulls import Pull
from registry.server.store.repository import Repository

MAX_PROPOSAL = 16 << 20
"""Bytes of a commit that somebody without writing rights may propose."""


class Right(Enum):
    """What may be done with a repository; see above."""

    READ = auto()
    BELONG = auto()
    """Read it as a member of its namespace: what is private, and behind a gate."""
    PROPOSE = auto()
    WRITE = auto()
    DELETE = auto()


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who asks, and what they may do at most by the token, or the session, that they ask with."""

    name: str
    """Their name; they own the namespace of that name."""
    roles: Mapping[str, NamespaceRole] = field(default_factory=dict, hash=False)
    """{namespace: what they may do in it}, besides their own."""
    role: Role = Role.WRITE
    """What the token lets them do; of an admin alone it is ADMIN."""
    only: tuple[str, ...] | None = None
    """The namespaces and repositories that it is for; None for all."""
    token: str = field(default="", compare=False)
    """The id of the token: two of one name may have other rights."""
    is_person: bool = True
    """Whether it is one: no person stands behind a workflow that publishes to a repository."""

    def role_in(self, namespace: str) -> NamespaceRole | None:
        """What they may do in a namespace, whatever they ask with; None for nothing."""
        return NamespaceRole.OWNER if namespace == self.name else self.roles.get(namespace)

    def covers(self, name: RepoName) -> bool:
        """Whether what they ask with is for that repository."""
        return self.only is None or name.owner in self.only or name.url_path in self.only


class Closable(Protocol):
    """What can be private: a repository, or what a list says of one."""

    @property
    def name(self) -> RepoName:
        """Its name."""

    @property
    def private(self) -> bool:
        """Whether only its owners may read it."""


def may(user: User | None, right: Right, name: RepoName, *, public: bool = False) -> bool:
    """Whether somebody may do that with the repository of that name. public: whether anybody may read it."""
    if right is Right.READ and public:
        return True
    if user is None or not user.covers(name):
        return False
    if user.role is Role.ADMIN:
        return True
    role = user.role_in(name.owner)
    reads = role is not None
    match right:
        case Right.READ | Right.BELONG:
            return reads
        case Right.PROPOSE:
            return user.role is not Role.READ and (reads or public)
        case Right.WRITE:
            return user.role is not Role.READ and role is not None and role.covers(NamespaceRole.WRITE)
        case Right.DELETE:
            return user.role is not Role.READ and user.is_person and role is NamespaceRole.OWNER


def may_read(user: User | None, repo: Closable) -> bool:
    """Whether it is theirs to read; None stands for somebody without a token."""
    return may(user, Right.READ, repo.name, public=not repo.private)


def may_write(user: User | None, repo: Repository) -> bool:
    """Whether it is theirs to write."""
    return may(user, Right.WRITE, repo.name)


def readable(repositories: Path, name: RepoName, user: User | None) -> Repository:
    """The repository of that name. Raises Problem 404 where there is none that `user` may read."""
    found = Repository.open(repositories, name)
    if not may_read(user, found):
        raise Problem(404, "Repository not found", REPO_NOT_FOUND)
    return found


def check_open(user: User | None, repo: Repository) -> None:
    """Raise Problem where the files of `repo`, which `user` may read of, are behind a gate that is not open to them.

    401 for somebody without a token, else 403.
    """
    if repo.gated is None or may(user, Right.BELONG, repo.name):
        return
    if user is None:
        raise Problem(401, f"Access to {repo.name} is restricted: a token is needed", GATED)
    if not (user.covers(repo.name) and AccessGate(repo).lets_in(user.name)):
        words = (
            f"Access to {repo.name.kind.removesuffix('s')} {repo.name} is restricted and you are not in the authorized"
        )
        raise Problem(403, f"{words} list. Ask for access with POST /{repo.name.url_path}/ask-access", GATED)


def check_create(user: User, name: RepoName) -> None:
    """Raise Problem 403 where `user` may not make a repository of that name."""
    if not may(user, Right.WRITE, name):
        raise Problem(403, f"the token of {user.name} may not create repositories of {name.owner}")


def check_write(user: User, repo: Repository) -> None:
    """Raise Problem 403 where `user` may not write to `repo`."""
    if not may_write(user, repo):
        raise Problem(403, f"the token of {user.name} may not write to {repo.name.owner}")


def check_move(user: User, repo: Repository, new: RepoName) -> None:
    """Raise Problem 403 where `user` may not give `repo` the name `new`."""
    check_write(user, repo)
    check_create(user, new)


def check_propose(user: User, repo: Repository) -> None:
    """Raise Problem 403 where `user` may not propose changes to `repo`, which they can read."""
    if not may(user, Right.PROPOSE, repo.name, public=not repo.private):
        raise Problem(403, f"the token of {user.name} is for reading only, or for other repositories")


def check_delete(user: User, repo: Repository) -> None:
    """Raise Problem 403 where `user` may not delete `repo`."""
    if not may(user, Right.DELETE, repo.name):
        raise Problem(403, f"deleting {repo.name} needs the token of an owner of {repo.name.owner}, or of an admin")


def max_commit(user: User, repo: Repository) -> int:
    """Bytes of the body of a commit that `user` may send to `repo`."""
    return MAX_BODY if may_write(user, repo) else MAX_PROPOSAL


def changeable(user: User, repo: Repository, number: int) -> Pull:
    """A pull request that `user` may change: its author, and those who may write. Raises Problem 403 and 404."""
    pull = pulls.find(repo, number)
    own = user.name == pull.author and may(user, Right.PROPOSE, repo.name, public=not repo.private)
    if not own and not may_write(user, repo):
        raise Problem(403, f"pull request {number} is of {pull.author}")
    return pull
