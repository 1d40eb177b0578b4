"""A repository made from another one of the same server: its branches, its tags, and its right to their large files."""

from __future__ import annotations

from pathlib import Path

from registry.server.locks import locked
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.store import git, reachable
from registry.server.store.places import COLLECT_LOCK
from registry.server.store.quota import Quota
from registry.server.store.repository import GATE, Repository

REFS = ("--branches", "--tags")
"""What is copied: pull requests are not."""


def duplicate(root: Path, source: Repository, name: RepoName, quota: Quota, *, private: bool) -> bool:
    """Make the repository `name` as `source` is now, gate and all; False where there is one.

    root: the folder of repositories.  Raises Problem 403 beyond the quota of its namespace, or as `Repository.create`.
    """

    def fill(new: Repository) -> None:
        refs = [f"refs/{kind}/*:refs/{kind}/*" for kind in ("heads", "tags")]
        git.run(new.folder, "fetch", "--quiet", "--no-write-fetch-head", "--update-head-ok", str(source.folder), *refs)
        new.contents.append(rows)
        if source.gated is not None:
            (new.folder / GATE).write_text(source.gated)

    with locked(quota.root / COLLECT_LOCK, shared=True):  # none of its large files is taken away meanwhile
        rows = rights_of(source)
        with quota.spending(name.owner, sum(rows.values())):
            return Repository.born(root, name, fill, private=private)


def rights_of(source: Repository) -> dict[str, int]:
    """The rows of the ledger that the branches and tags of `source` need."""
    here, named = source.contents.read(), reachable.large_files(source.folder, REFS)
    commits = git.run(source.folder, "rev-list", *REFS).decode().split()
    if lost := sorted(named.keys() - here.keys()):
        raise Problem(409, f"the content of {named[lost[0]].path} is lost: {source.name} cannot be copied whole")
    return {name: here[name] for name in (*named, *commits) if name in here}
