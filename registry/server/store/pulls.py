"""Pull requests of one repository: a ref `refs/pr/N` each, and a small record beside.

Laws: a number is given once; what is merged is one commit with two parents, the branch and the request; merging again
what is merged changes nothing, so a merge that a power cut interrupted is finished by asking again. What is closed is
put away (`putting_away.py`): it has no ref, and nobody can read it.

Who may do any of it is for the caller to check: `access/rights.py` knows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from registry.errors import InputError
from registry.files import write_atomic
from registry.records.record import Record
from registry.server.names import MAIN
from registry.server.problems import REVISION_NOT_FOUND, Problem, outdated
from registry.server.store import attributes, git, history, refs
from registry.server.store.changes import Change
from registry.server.store.places import REQUESTS
from registry.server.store.repository import BRANCHES, Repository

PULLS = "refs/pr/"
MAX_OPEN = 50
"""Open requests of one author in one repository."""
DAY = 24 * 3600
MAX_A_DAY = 200
"""New requests of one author in one repository: a record of each stays."""
MAX_CLASHES = 1000
"""Files that are named of those at which a request conflicts."""
MAX_DIFF = 1 << 20
Status = Literal["draft", "open", "closed", "merged"]


class Pull(Record):
    """One pull request."""

    number: Annotated[int, Field(ge=1)]
    """Counted for each repository."""
    title: Annotated[str, Field(max_length=500)]
    """One line."""
    description: Annotated[str, Field(max_length=65_536)]
    """Markdown."""
    author: str
    """The user whose token it was."""
    branch: str
    """Where it would go."""
    created: int
    """Seconds since 1970."""
    status: Status
    """Where it stands."""
    merged: str | None = None
    """The commit it became."""
    tip: str | None = None
    """The newest of its commits, while it is closed."""

    @property
    def ref(self) -> str:
        """The ref of its commits."""
        return f"{PULLS}{self.number}"

    @property
    def is_open(self) -> bool:
        """Whether it waits to be merged, or for its first commit."""
        return self.status in ("open", "draft")


def listed(repo: Repository, *, author: str | None = None, is_open: bool | None = None) -> list[Pull]:
    """The pull requests, newest first: of `author`, that are open or are not; None for all."""
    numbers = sorted((int(path.stem) for path in folder_of(repo).glob("*.json") if path.stem.isdigit()), reverse=True)
    there = refs.named(repo.folder, PULLS)
    found = [pull for number in numbers if _is_there(pull := _read(repo, number), there)]
    return [pull for pull in found if author in (None, pull.author) and is_open in (None, pull.is_open)]


def find(repo: Repository, number: int) -> Pull:
    """One pull request. Raises Problem 404 where there is none."""
    pull = _read(repo, number)
    if not _is_there(pull, refs.named(repo.folder, pull.ref)):
        raise Problem(404, f"there is no pull request {number}")
    return pull


def create(repo: Repository, author: str, title: str, description: str, branch: str = MAIN) -> Pull:
    """A request without changes yet: a draft, to which commits are made. Raises Problem as `propose`."""
    with repo.lock():
        head = _head(repo, branch)
        pull = _new(repo, author, title, description, branch, "draft")
        refs.move(repo.folder, pull.ref, head, git.ABSENT)
    return pull


def propose(
    repo: Repository, author: str, branch: str, parent: str | None, changes: Sequence[Change], title: str, words: str
) -> tuple[Pull, str]:
    """A request with one commit upon the head of `branch`; (the request, the commit).

    Raises Problem 412 unless `parent` is that head, where it is given; 404 for no such branch; 403 for an author with
    too many open requests; what `Repository.write` raises.
    """
    with repo.lock():
        head = _head(repo, branch)
        if parent is not None and not head.startswith(parent):
            raise outdated()
        pull = _new(repo, author, title, words, branch, "open")
        try:
            commit = repo.write(pull.ref, head, changes, author, f"{title}\n\n{words}".strip() + "\n", old=git.ABSENT)
        except BaseException:  # what is refused leaves nothing
            _place(repo, pull.number).unlink()
            raise
    return pull, commit


def add(repo: Repository, author: str, number: int, parent: str | None, changes: Sequence[Change], message: str) -> str:
    """One more commit of a request; its id. Raises Problem 409 where it is merged, else as `propose`."""
    with repo.lock():
        pull = unmerged(repo, number)
        if pull.status == "closed":
            raise Problem(409, f"pull request {number} is closed")
        head = refs.named(repo.folder, pull.ref)[pull.ref]
        if parent is not None and not head.startswith(parent):
            raise outdated()
        return repo.write(pull.ref, head, changes, author, message)


def merge(repo: Repository, author: str, number: int, words: str = "") -> Pull:
    """Bring a request to its branch, by one commit. Raises Problem 409 where it conflicts, is closed or is empty.

    words: what the commit says of it besides.
    """
    with repo.lock():
        pull = find(repo, number)
        if pull.status == "merged":
            return pull
        if pull.status == "closed":
            raise Problem(409, f"pull request {number} is closed")
        head, tip = _head(repo, pull.branch), refs.named(repo.folder, pull.ref)[pull.ref]
        if _is_ancestor(repo, tip, head):
            if pull.status == "draft":
                raise Problem(409, f"pull request {number} changes nothing")
            commit = head  # merged already, and only the record of it was lost
        else:
            tree, clashes = attributes.merged(repo.folder, head, tip)
            if clashes:
                raise Problem(409, f"pull request {number} conflicts with {pull.branch} in {', '.join(clashes[:5])}")
            told = f"{pull.title}\n\nMerges pull request {number} of {pull.author}\n\n{words}"
            message = told.rstrip() + "\n"
            commit = repo.write_commit(tree, ["-p", head, "-p", tip], author, message)
            refs.move(repo.folder, BRANCHES + pull.branch, commit, head)
        done = pull.model_copy(update={"status": "merged", "merged": commit})
        write(repo, done)
    return done


def conflicts(repo: Repository, pull: Pull) -> list[str]:
    """The files at which an open request conflicts with its branch."""
    if pull.status in ("merged", "closed"):
        return []
    return list(_clashes(repo.folder, _head(repo, pull.branch), refs.named(repo.folder, pull.ref)[pull.ref]))


@lru_cache(maxsize=1000)
def _clashes(folder: Path, head: str, tip: str) -> tuple[str, ...]:
    """The first files at which two commits conflict, which are always the same."""
    with (
        tempfile.TemporaryDirectory(prefix="commit-", dir=folder) as apart,
        git.quarantined(folder, Path(apart)),
    ):
        return tuple(attributes.merged(folder, head, tip)[1][:MAX_CLASHES])


def diff(repo: Repository, pull: Pull) -> str:
    """What a request changes, as git writes it; of no more than MAX_DIFF bytes, and nothing of a closed one."""
    if pull.status == "closed":
        return ""
    tip = refs.named(repo.folder, pull.ref)[pull.ref]
    base = refs.tip(repo.folder, BRANCHES + pull.branch) or tip
    if pull.merged:
        base = git.run(repo.folder, "rev-parse", f"{pull.merged}^1").decode().strip()
    options = ("--no-ext-diff", "--no-textconv", "--no-color")
    words = ("diff", *options, f"{base}...{tip}", "--")
    return git.head_of(repo.folder, MAX_DIFF, *words, seconds=git.SECONDS).decode(errors="replace")


def commits(repo: Repository, pull: Pull) -> list[history.Commit]:
    """The commits of a request that its branch has not, newest first; none of a closed one."""
    if pull.status == "closed":
        return []
    tip = refs.named(repo.folder, pull.ref)[pull.ref]
    base = refs.tip(repo.folder, BRANCHES + pull.branch)
    return history.log(repo.folder, tip, limit=100, without=base if not pull.merged else None)


def own_commits(repo: Repository, number: int) -> set[str]:
    """The names of the commits of a request that no branch and no tag has; none of a closed one."""
    ref = f"{PULLS}{number}"
    words = (ref, "--not", "--branches", "--tags")
    return set(git.run(repo.folder, "rev-list", *words).decode().split()) if refs.named(repo.folder, ref) else set()


def unmerged(repo: Repository, number: int) -> Pull:
    """A request that can still change. Raises Problem 404, and 409 for one that is merged."""
    pull = find(repo, number)
    if pull.status == "merged":
        raise Problem(409, f"pull request {number} is merged")
    return pull


def _head(repo: Repository, branch: str) -> str:
    head = refs.tip(repo.folder, BRANCHES + branch)
    if head is None:
        raise Problem(404, f"Invalid rev id: {branch}", REVISION_NOT_FOUND)
    return head


def _new(repo: Repository, author: str, title: str, words: str, branch: str, status: Status) -> Pull:
    """Give a number away and write the record; without its ref, it is not seen yet."""
    known = listed(repo, author=author)
    if sum(pull.is_open for pull in known) >= MAX_OPEN:
        raise Problem(403, f"{author} has {MAX_OPEN} open pull requests here already")
    if sum(pull.created > time.time() - DAY for pull in known) >= MAX_A_DAY:
        raise Problem(403, f"{author} has made {MAX_A_DAY} pull requests here since yesterday")
    taken = [int(path.stem) for path in folder_of(repo).glob("*.json") if path.stem.isdigit()]
    line = " ".join(title.split())[:500] or "A change"
    pull = Pull(
        number=max(taken, default=0) + 1,
        title=line,
        description=words[:65_536],
        author=author,
        branch=branch,
        created=int(time.time()),
        status=status,
    )
    write(repo, pull)
    return pull


def _is_ancestor(repo: Repository, older: str, newer: str) -> bool:
    return git.run(repo.folder, "merge-base", older, newer, allowed=(0, 1)).decode().strip() == older


def _is_there(pull: Pull, there: Mapping[str, str]) -> bool:
    """Whether it was ever made whole: it has a ref, or had one before it was closed."""
    return pull.ref in there or pull.status == "closed"


def _read(repo: Repository, number: int) -> Pull:
    try:
        return Pull.read(_place(repo, number))
    except InputError as problem:
        raise Problem(404, f"there is no pull request {number}") from problem


def write(repo: Repository, pull: Pull) -> None:
    """Keep the record of a request. Holds no lock."""
    write_atomic(_place(repo, pull.number), pull.to_bytes())


def _place(repo: Repository, number: int) -> Path:
    return folder_of(repo) / f"{number}.json"


def folder_of(repo: Repository) -> Path:
    """Where the records of a repository are."""
    return repo.folder / REQUESTS
