"""One server: its folder, with all that is in it put together, and its limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from registry.hub.client.upstream import Upstream
from registry.server import format as folder_format
from registry.server.access import rights
from registry.server.access.accounts import Accounts
from registry.server.access.audit_log import AuditLog
from registry.server.access.auth import Links
from registry.server.access.limits import ServerLimits
from registry.server.access.rights import User
from registry.server.names import RepoName, pull_number
from registry.server.problems import Problem
from registry.server.store import copies, git, pulls, putting_away
from registry.server.store.commits import Asked
from registry.server.store.index import RepositoryIndex, Seen, Wanted
from registry.server.store.large_files import LargeFiles
from registry.server.store.mirror import Mirror
from registry.server.store.placement import GIT_ATTRIBUTES
from registry.server.store.places import REPOSITORIES, UPLOADS
from registry.server.store.pulls import PULLS, Pull
from registry.server.store.quota import Quota
from registry.server.store.remains import sweep
from registry.server.store.repository import Repository
from registry.server.store.stores import blob_store
from registry.server.store.uploads import Uploads

STALE_UPLOAD_SECONDS = 24 * 3600
COLLECT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit that was made. pull: the pull request that it opened; None where it opened none."""

    oid: str
    pull: Pull | None = None


@dataclass(frozen=True, slots=True)
class Hub:
    """One server. Its state is on the disk only, so any number of processes may be a Hub over one folder."""

    root: Path
    """Its folder."""
    limits: ServerLimits
    """What nobody gets more of."""
    xet: bool
    """Whether uploads by Xet are taken."""
    url: str | None
    """Where clients reach it, behind a proxy; without a slash at the end."""
    accounts: Accounts
    """Who is who."""
    links: Links
    """Signs links, and knows its own."""
    large: LargeFiles
    """The large files, and the quota."""
    audit: AuditLog
    """What was done with rights."""
    origins: tuple[str, ...]
    """Whose pages browsers may ask from; `*` for anybody's."""
    proxies: tuple[str, ...]
    """Addresses and networks of those who say truly for whom they ask."""
    index: RepositoryIndex
    """What the lists say, and this process's own."""
    mirror: Mirror | None = None
    """Copies of another Hub's repositories; None where it mirrors none."""

    @classmethod
    def open(
        cls,
        root: Path,
        limits: ServerLimits | None = None,
        *,
        blobs_url: str | None = None,
        xet: bool = True,
        url: str | None = None,
        origins: tuple[str, ...] = (),
        proxies: tuple[str, ...] = (),
        upstream: Upstream | None = None,
        mirror_size: int | None = None,
    ) -> Hub:
        """The server over the folder `root`, made if missing, after what a power cut left in it was swept away.

        blobs_url: where large files are kept, if not in the folder.  upstream: the Hub that it mirrors, and in how many
        bytes.  Raises as `blob_store` and `format.settle` do.
        """
        limits = limits or ServerLimits()
        root.mkdir(parents=True, exist_ok=True)
        folder_format.settle(root)
        blobs = blob_store(root, blobs_url)
        uploads = Uploads(root / UPLOADS, limits.open_uploads, limits.user_uploads)
        uploads.collect(STALE_UPLOAD_SECONDS)
        sweep(root / REPOSITORIES)
        large = LargeFiles(root, blobs, uploads, Quota(root, limits.quota))
        index = RepositoryIndex(root / REPOSITORIES, blobs)
        mirror = Mirror.of(root, upstream, mirror_size) if upstream is not None else None
        return cls(
            root,
            limits,
            xet,
            url,
            Accounts.of(root),
            Links(root),
            large,
            AuditLog(root),
            origins,
            proxies,
            index,
            mirror,
        )

    @property
    def repositories(self) -> Path:
        """The folder of bare git repositories."""
        return self.root / REPOSITORIES

    def collect(self) -> None:
        """Take away what abandoned uploads left, at most once in COLLECT_SECONDS over all workers."""
        stamp = self.root / "collected"
        with suppress(FileNotFoundError):
            if stamp.stat().st_mtime > time.time() - COLLECT_SECONDS:
                return
        stamp.touch()
        self.large.uploads.collect(STALE_UPLOAD_SECONDS)

    def shelves(self, name: RepoName) -> Path:
        """The folder in which a repository of that name is looked for: this server's own, or the mirror's copies."""
        mirrored = self.mirror is not None and self.mirror.is_for(name)
        return self.mirror.repositories if self.mirror is not None and mirrored else self.repositories

    def large_of(self, repo: Repository) -> LargeFiles:
        """The large files among which those of `repo` are."""
        return self.large if self.mirror is None or repo.upstream is None else self.mirror.files

    def readable(self, name: RepoName, user: User | None) -> Repository:
        """The repository of that name. Raises Problem 404 where there is none that `user` may read."""
        return rights.readable(self.shelves(name), name, user)

    def find(self, user: User | None, wanted: Wanted) -> list[Seen]:
        """The repositories that fit, in order, as far as `user` may read them. Raises Problem 503 as the index does."""
        return [seen for seen in self.index.find(wanted) if rights.may_read(user, seen)]

    def seen_by(self, user: User | None, wanted: Wanted) -> Wanted:
        """The same, of the private ones only those that `user` may read. Raises Problem 503 as the index does."""
        closed = replace(wanted, private=True)
        theirs = tuple(seen.folder for seen in self.index.find(closed) if rights.may_read(user, seen))
        return replace(wanted, among=theirs)

    def create(self, name: RepoName, user: User, *, private: bool) -> bool:
        """Make a repository; False where there is one. Raises Problem 403 for a name that is not theirs to give."""
        rights.check_create(user, name)
        files = {".gitattributes": GIT_ATTRIBUTES}
        made = Repository.create(self.repositories, name, user.name, files, private=private)
        return self._settled(made, name, lambda repo: repo.delete(self.repositories, user.name, released=True))

    def move(self, repo: Repository, user: User, new: RepoName) -> bool:
        """Give a repository another name; False where it is taken. Raises Problem 403 as `create`, or for a quota."""
        rights.check_move(user, repo, new)
        size = 0 if new.owner == repo.name.owner else sum(repo.contents.read().values())
        with self.large.unchanging(), self.large.quota.spending(new.owner, size):
            moved = repo.move(self.repositories, new, user.name)
        return self._settled(moved, new, lambda there: there.move(self.repositories, repo.name, user.name))

    def duplicate(self, repo: Repository, user: User, new: RepoName, *, private: bool) -> bool:
        """Make `new` as `repo` is; False where there is one. Raises Problem 403 as `create`, and beyond the quota."""
        rights.check_create(user, new)
        made = copies.duplicate(self.repositories, repo, new, self.large.quota, private=private)
        return self._settled(made, new, lambda copy: copy.delete(self.repositories, user.name, released=True))

    def _settled(self, named: bool, name: RepoName, undo: Callable[[Repository], object]) -> bool:
        """Whether a repository got that name. It is undone where its organisation was removed meanwhile: Problem 403.

        Who removes one looks for its repositories while nobody changes who there is; so one of the two sees the other.
        """
        if named and self.accounts.people.settled().removed(name.owner):
            undo(Repository.open(self.repositories, name))
            raise Problem(403, f"{name.owner} was removed, and its name is not given again")
        return named

    def commit(self, repo: Repository, user: User, revision: str, asked: Asked, *, proposed: bool) -> NewCommit:
        """Make the commit that is asked for: upon a branch, upon `refs/pr/N`, or as a new pull request to a branch.

        What somebody proposes who may not write is booked to them. Raises Problem 403 where it is not theirs to make,
        or beyond the quota; else as `Repository.commit`.
        """
        quota, own = self.large.quota, rights.may_write(user, repo)
        payer = repo.name.owner if own else user.name
        try:
            with ExitStack() as stack:
                stack.enter_context(self.large.staying(repo, asked.large))
                stack.enter_context(quota.spending(payer, asked.size))
                if not own:
                    stack.enter_context(quota.alone(payer))
                with git.quarantined(repo.folder, asked.apart):
                    made = _made(repo, user, revision, asked, proposed)
                with repo.lock(patient=True):
                    repo.contents.append(asked.large)
                    (repo.contents if own else quota.booked(payer)).append({made.oid: asked.size})
        finally:
            asked.discard()
        return made

    def merge(self, repo: Repository, user: User, number: int, words: str) -> Pull:
        """Merge a pull request. What it holds is booked to the repository from now on. Raises as `pulls.merge`."""
        booked = self.large.quota.booked(pulls.find(repo, number).author)
        rows = {oid: size for oid, size in booked.read().items() if oid in pulls.own_commits(repo, number)}
        with self.large.quota.spending(repo.name.owner, sum(rows.values())):
            done = pulls.merge(repo, user.name, number, words)
            with repo.lock(patient=True):
                repo.contents.append(rows)
        with self.large.quota.alone(booked.folder.name):
            booked.remove(rows)
        return done

    def close(self, repo: Repository, number: int) -> Pull:
        """Close a pull request: it is put away, and counts for nobody. Raises as `putting_away.close`."""
        booked = self.large.quota.booked(pulls.find(repo, number).author)
        with self.large.quota.alone(booked.folder.name):
            return putting_away.close(repo, number, repo.contents, booked)

    def reopen(self, repo: Repository, number: int) -> Pull:
        """Open a closed pull request again. Raises as `putting_away.reopen`."""
        with self.large.unchanging():
            return putting_away.reopen(repo, number)


def _made(repo: Repository, user: User, revision: str, asked: Asked, proposed: bool) -> NewCommit:
    if proposed:
        rights.check_propose(user, repo)
        summary, words = asked.summary, asked.description
        pull, oid = pulls.propose(repo, user.name, revision, asked.parent, asked.changes, summary, words)
        return NewCommit(oid, pull)
    if revision.startswith(PULLS):
        pull = rights.changeable(user, repo, pull_number(revision.removeprefix(PULLS)))
        return NewCommit(pulls.add(repo, user.name, pull.number, asked.parent, asked.changes, asked.message))
    rights.check_write(user, repo)
    return NewCommit(repo.commit(revision, asked.parent, asked.changes, user.name, asked.message))
