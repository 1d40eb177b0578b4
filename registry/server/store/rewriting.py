"""Histories that are made anew, where somebody who may write asks for just that: squashed, or without some large files.

Law: no commit that a signed release stands on is ever replaced, nor what was said of releases. All else here moves a
branch to where it has not been, and says so in its own name: no commit does that.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from registry.server.problems import REVISION_NOT_FOUND, Problem
from registry.server.store import git, objects, reachable, refs, releases
from registry.server.store.holdings import put_away
from registry.server.store.repository import BRANCHES, KEPT, TAGS, Repository

MAX_COMMITS = 2_000
"""Commits of a history that is made anew."""


def squash(repo: Repository, branch: str, author: str, message: str) -> str:
    """Make one commit of a branch; its id. Raises Problem 403 where a release stands on it, 404 for no such branch."""
    with repo.lock():
        head = refs.tip(repo.folder, BRANCHES + branch)
        if head is None:
            raise Problem(404, f"Invalid rev id: {branch}", REVISION_NOT_FOUND)
        if branch in KEPT or releases.tagged(repo.folder, head):
            raise Problem(403, f"signed releases stand on {branch}: its history stays")
        made = repo.write_commit(f"{head}^{{tree}}", [], author, message)
        refs.move(repo.folder, BRANCHES + branch, made, head)
    return made


def forget(repo: Repository, digests: Collection[str], *, rewrite: bool) -> None:
    """Take large files away from a repository: it has no right to them any more.

    rewrite: whether those that commits name are taken out of them all.  Raises Problem 403 for one that a release
    holds, 409 for one that a commit names, where nothing is to be rewritten.
    """
    with repo.lock():
        gone = set(digests) & repo.contents.blobs().keys()
        released = releases.tagged(repo.folder)
        lasting = [commit for ref, commit in refs.named(repo.folder).items() if ref.removeprefix(BRANCHES) in KEPT]
        kept = reachable.large_files(repo.folder, [*released, *lasting]) if released or lasting else {}
        if held := sorted(gone & kept.keys()):
            raise Problem(403, f"{kept[held[0]].path} is in a signed release: it stays")
        named = reachable.large_files(repo.folder)
        if (used := sorted(gone & named.keys())) and not rewrite:
            raise Problem(409, f"{named[used[0]].path} is in a commit: delete it there first")
        if used:
            _rewrite(repo, {named[sha256].oid for sha256 in used})
        for ledger in (repo.contents, *put_away(repo.folder)):
            ledger.remove(digests)


def _rewrite(repo: Repository, pointers: Collection[str]) -> None:
    """Make each commit that holds one of these blobs anew, without it, and all that was made upon it; move the refs."""
    listing = git.run(repo.folder, "rev-list", "--topo-order", "--reverse", "--parents", *reachable.EVERYTHING)
    rows = [line.split() for line in listing.decode().splitlines()]
    if len(rows) > MAX_COMMITS:
        raise Problem(409, f"a history of {len(rows)} commits is not made anew; {MAX_COMMITS} at most")
    now: dict[str, str] = {}
    for commit, *parents in rows:
        tree = _without(repo.folder, commit, pointers)
        above = [now.get(parent, parent) for parent in parents]
        if tree is not None or above != parents:
            now[commit] = _again(repo.folder, commit, tree or f"{commit}^{{tree}}", above)
    there = refs.named(repo.folder, "refs/heads/", TAGS, "refs/pr/")
    refs.move_all(repo.folder, {ref: now[commit] for ref, commit in there.items() if commit in now})


def _without(folder: Path, commit: str, pointers: Collection[str]) -> str | None:
    """The tree of a commit without those blobs; None where it has none of them."""
    listing = git.run(folder, "ls-tree", "-r", "-z", commit).decode().split("\0")[:-1]
    rows = (line.split("\t", 1) for line in listing)
    gone = [path for facts, path in rows if facts.split()[2] in pointers]
    if not gone:
        return None
    with git.scratch_index(folder) as index:
        git.run(folder, "read-tree", commit, extra=index)
        objects.fill_index(folder, index, dict.fromkeys(gone))
        return git.run(folder, "write-tree", extra=index).decode().strip()


def _again(folder: Path, commit: str, tree: str, parents: list[str]) -> str:
    """The same commit, of the same author and time, with another tree and other parents."""
    form = "%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B"
    told = git.run(folder, "log", "-1", "--no-show-signature", "--date=raw", f"--format={form}", commit).decode()
    *who, message = told.split("\0", 6)
    names = ("AUTHOR_NAME", "AUTHOR_EMAIL", "AUTHOR_DATE", "COMMITTER_NAME", "COMMITTER_EMAIL", "COMMITTER_DATE")
    extra = {f"GIT_{name}": value for name, value in zip(names, who, strict=True)}
    above = [word for parent in parents for word in ("-p", parent)]
    return git.run(folder, "commit-tree", tree, *above, given=message.encode(), extra=extra).decode().strip()
