"""Who may do what with a repository.

    read      what is public, anybody; what is private, those whose it is
    open      its files, who may read it; where it has a gate, those whose it is, and who was let in
    propose   whoever can read it, with a token that is for more than reading
    write     those whose it is, with such a token
    move      those who may write both to the one name and to the other
    delete    an admin

What somebody may not read is as good as not there: 404, not 403.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from registry.server.access.tokens import Role, User
from registry.server.names import RepoName
from registry.server.problems import GATED, REPO_NOT_FOUND, Problem
from registry.server.store import pulls
from registry.server.store.commits import MAX_BODY
from registry.server.store.gates import AccessGate
from registry.server.store.pulls import Pull
from registry.server.store.repository import Repository

MAX_PROPOSAL = 16 << 20
"""Bytes of a commit that somebody without writing rights may propose."""


class Closable(Protocol):
    """What can be private: a repository, or what a list says of one."""

    @property
    def name(self) -> RepoName:
        """Its name."""

    @property
    def private(self) -> bool:
        """Whether only its owners may read it."""


def may_read(user: User | None, repo: Closable) -> bool:
    """Whether it is theirs to read; None stands for somebody without a token."""
    return not repo.private or (user is not None and user.may_read(repo.name))


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
    if repo.gated is None or (user is not None and user.may_read(repo.name)):
        return
    if user is None:
        raise Problem(401, f"Access to {repo.name} is restricted: a token is needed", GATED)
    if not AccessGate(repo).lets_in(user.name):
        words = (
            f"Access to {repo.name.kind.removesuffix('s')} {repo.name} is restricted and you are not in the authorized"
        )
        raise Problem(403, f"{words} list. Ask for access with POST /{repo.name.url_path}/ask-access", GATED)


def check_create(user: User, name: RepoName) -> None:
    """Raise Problem 403 where `user` may not make a repository of that name."""
    if not user.may_write(name):
        raise Problem(403, f"the token of {user.name} may not create repositories of {name.owner}")


def check_write(user: User, repo: Repository) -> None:
    """Raise Problem 403 where `user` may not write to `repo`."""
    if not user.may_write(repo.name):
        raise Problem(403, f"the token of {user.name} may not write to {repo.name.owner}")


def check_move(user: User, repo: Repository, new: RepoName) -> None:
    """Raise Problem 403 where `user` may not give `repo` the name `new`."""
    check_write(user, repo)
    check_create(user, new)
    if user.repo is not None:
        raise Problem(403, f"the token of {user.name} is for {user.repo} alone")


def check_propose(user: User) -> None:
    """Raise Problem 403 where `user` may not propose changes to what they can read."""
    if not user.may_propose:
        raise Problem(403, f"the token of {user.name} is for reading only")


def check_delete(user: User) -> None:
    """Raise Problem 403 where `user` may not delete repositories."""
    if user.role is not Role.ADMIN:
        raise Problem(403, "deleting what others may rely on needs the token of an admin")


def max_commit(user: User, repo: Repository) -> int:
    """Bytes of the body of a commit that `user` may send to `repo`."""
    return MAX_BODY if user.may_write(repo.name) else MAX_PROPOSAL


def changeable(user: User, repo: Repository, number: int) -> Pull:
    """A pull request that `user` may change: its author, and those who may write. Raises Problem 403 and 404."""
    pull = pulls.find(repo, number)
    if user.name != pull.author and not user.may_write(repo.name):
        raise Problem(403, f"pull request {number} is of {pull.author}")
    return pull
