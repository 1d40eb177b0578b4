"""Branches and tags that are made and taken away."""

from __future__ import annotations

from registry.server.problems import REVISION_NOT_FOUND, Problem
from registry.server.store import git, refs, releases
from registry.server.store.repository import BRANCHES, LASTING, TAGS, Repository, identity

MAX_REFS = 10_000
"""Branches and tags of one repository: git, and every list of them, gets slower with each."""


def branch(repo: Repository, name: str, start: str) -> None:
    """A new branch at the commit `start`. Raises Problem 409 if there is a branch or a tag of that name.

    Raises Problem 403 beyond MAX_REFS.
    """
    with repo.lock():
        _check_new(repo, name)
        refs.move(repo.folder, BRANCHES + name, start, git.ABSENT)


def delete_branch(repo: Repository, name: str) -> None:
    """Remove a branch. Raises Problem 403 for those of LASTING, 404 where there is none."""
    if name in LASTING:
        raise Problem(403, f"Cannot delete {BRANCHES}{name}: it moves forward only")
    with repo.lock():
        head = refs.tip(repo.folder, BRANCHES + name)
        if head is None:
            raise Problem(404, f"Invalid rev id: {name}", REVISION_NOT_FOUND)
        refs.remove(repo.folder, BRANCHES + name, head)


def tag(repo: Repository, name: str, commit: str, message: str, author: str) -> None:
    """A new tag at `commit`. Raises as `branch`."""
    with repo.lock():
        _check_new(repo, name)
        words = ["-a", "--cleanup=verbatim", "-F", "-"] if message else []
        refs.free(repo.folder, TAGS + name)
        git.run(repo.folder, "tag", *words, "--", name, commit, given=message.encode(), extra=identity(author))


def delete_tag(repo: Repository, name: str) -> None:
    """Remove a tag. Raises Problem 403 for one that carries a release, 404 where there is none."""
    with repo.lock():
        commit = refs.named(repo.folder, TAGS + name).get(TAGS + name)
        if commit is None:
            raise Problem(404, f"Invalid rev id: {name}", REVISION_NOT_FOUND)
        if releases.among(repo.folder, [commit]):
            raise Problem(403, f"{name} carries a signed release: such a tag is for ever")
        refs.remove(repo.folder, TAGS + name)


def _check_new(repo: Repository, name: str) -> None:
    """Raise Problem where there cannot be a branch or a tag of that name."""
    parts = name.split("/")
    above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    names = [prefix + each for prefix in (BRANCHES, TAGS) for each in above]
    below = (f"{BRANCHES}{name}/", f"{TAGS}{name}/")
    taken = [ref for ref in refs.named(repo.folder, *names) if ref in names or ref.startswith(below)]
    if taken:
        raise Problem(409, f"Reference {taken[0]} already exists")
    if refs.count(repo.folder) >= MAX_REFS:
        raise Problem(403, f"{repo.name} has {MAX_REFS} branches and tags: delete those that are not needed")
