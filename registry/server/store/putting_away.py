"""What is closed is put away: a pull request's commits leave the repository, and its quota, for a folder beside.

Law: once it is closed, nobody can read it, by its ref, by a commit's name, or by git. Who may write can open it again,
until `glasshouse serve --collect` takes the folder away.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from registry.server.problems import Problem
from registry.server.store import git, objects, pointers, pulls, reachable, refs
from registry.server.store.ledger import Ledger
from registry.server.store.pulls import Pull
from registry.server.store.repository import Repository


def close(repo: Repository, number: int, *ledgers: Ledger) -> Pull:
    """Close a request. ledgers: those where its contents are booked. Raises Problem 409 where it is merged."""
    with repo.lock():
        pull = pulls.unmerged(repo, number)
        tip = refs.tip(repo.folder, pull.ref)
        if tip is None:  # it is closed already
            return pull
        others = ("--branches", "--tags", f"--exclude={pull.ref}", "--glob=refs/pr/*")
        own = reachable.only(repo.folder, tip, others)
        away = _away(repo, number)
        away.mkdir(exist_ok=True)
        if own:
            git.run(repo.folder, "bundle", "create", "--quiet", str(away / "bundle"), pull.ref, "--not", *others)
        pulls.write(repo, done := pull.model_copy(update={"status": "closed", "tip": tip}))
        refs.remove(repo.folder, pull.ref, tip)
        _book(repo, own, ledgers, Ledger(away))
        _remove(repo.folder, own)
    return done


def reopen(repo: Repository, number: int) -> Pull:
    """Open a closed request again, and book what it holds to the repository.

    Raises Problem 409 where it is merged, or was taken away.
    """
    with repo.lock():
        pull = pulls.unmerged(repo, number)
        if pull.status != "closed":
            return pull
        away = _away(repo, number)
        if pull.tip is None or not away.is_dir():
            raise Problem(409, f"pull request {number} was closed too long ago: what it changed was taken away")
        if (away / "bundle").exists():
            try:
                git.run(repo.folder, "bundle", "unbundle", str(away / "bundle"))
            except git.GitFailed as problem:
                raise Problem(
                    409, f"pull request {number} was made upon commits that are not here any more"
                ) from problem
        refs.move(repo.folder, pull.ref, pull.tip, git.ABSENT)
        repo.contents.append(Ledger(away).read())
        pulls.write(repo, opened := pull.model_copy(update={"status": "open", "tip": None}))
        shutil.rmtree(away)
    return opened


def _book(repo: Repository, own: Sequence[str], ledgers: Sequence[Ledger], away: Ledger) -> None:
    """Move the rows of what only this request leads to from the ledgers to the folder."""
    small = [data for data in objects.contents(repo.folder, own) if data is not None and len(data) < 200]
    pointed = [pointers.pointed(data) for data in small]
    others = reachable.large_files(repo.folder).keys()
    names = {*own, *(found[0] for found in pointed if found is not None and found[0] not in others)}
    for ledger in ledgers:
        away.append({name: size for name, size in ledger.read().items() if name in names})
        ledger.remove(names)


def _remove(folder: Path, names: Sequence[str]) -> None:
    """Take those objects out of the repository, packed or not."""
    for oid in names:
        (folder / "objects" / oid[:2] / oid[2:]).unlink(missing_ok=True)
    if any(data is not None for data in objects.contents(folder, names)):
        git.run(folder, "repack", "-a", "-d", "--quiet")


def _away(repo: Repository, number: int) -> Path:
    return pulls.folder_of(repo) / str(number)
