"""One repository of the server: a bare git repository, read by anybody, written by whole commits only.

Laws: a commit is there entirely or not at all; a branch only ever moves forward, one commit at a time; a tag never
moves, and one that carries a release never goes away. What changes a ref holds the repository's lock, which keeps
other processes out too.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from registry.files import sync_directory, write_atomic
from registry.hub.reference import is_commit
from registry.records import layout
from registry.server.locks import locked
from registry.server.names import MAIN, RepoName
from registry.server.problems import ENTRY_NOT_FOUND, REPO_NOT_FOUND, REVISION_NOT_FOUND, Problem, busy, outdated
from registry.server.store import attributes, git, objects, refs, releases, trees
from registry.server.store.changes import Change, Put
from registry.server.store.ledger import Ledger
from registry.server.store.named import Tombstone, folder_of, names_given, spelled
from registry.server.store.objects import TreeRow
from registry.server.store.releases import TAGS as TAGS

BRANCHES = "refs/heads/"
KEPT = ("status", layout.AUDITS)
"""Branches of what was said of releases: their history is never made anew."""
MAX_NAMES = 10_000
"""Repositories of one kind in one namespace, with the names of those that were deleted or moved: each stays."""
LASTING = (MAIN, *KEPT)
"""Branches that are never taken away."""
MAX_MOVES = 5
"""How often a repository may have moved, and still be found by each of its names."""
LOCK = "glasshouse.lock"
NAMING = "naming.lock"
"""In the folder of repositories: held by whoever gives one its name, so that no two differ by their case."""
LOCK_SECONDS = 20.0
"""How long a request waits for the repository that it would change."""
PRIVATE = "private"
"""A repository whose folder holds a file of this name is for its owners only."""
GATE = "gated"
"""A repository whose folder holds a file of this name lets in to its files who asked; the file says how."""
GateKind = Literal["auto", "manual"]
UPSTREAM = "upstream"
"""A file in the folder of a copy of another Hub's repository: its address there. Its time tells when that was asked."""
MARK = "changes"
"""A file in the folder of repositories, which grows by a byte whenever one of them has changed."""
DOWNLOADS = "downloads"
"""A file in the folder of a repository, of a byte for each time that it was downloaded."""
_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository `name`, whose bare git repository is `folder`."""

    name: RepoName
    folder: Path

    @classmethod
    def open(cls, root: Path, name: RepoName, moves: int = 0) -> Repository:
        """The repository that has, or had, that name, whatever its case. Raises Problem 404 where there is none.

        moves: how many names of it have led here.
        """
        found = cls(name, folder_of(root, name))
        if not (found.folder / "HEAD").is_file() and (other := spelled(root, name)) is not None:
            found = cls(other, folder_of(root, other))
        if (found.folder / "HEAD").is_file():
            return found
        told = Tombstone.of(root, found.name)
        if told is not None and told.moved_to is not None and moves < MAX_MOVES:
            return cls.open(root, told.moved_to, moves + 1)
        words = ": it was deleted" if told is not None and told.was_public else ""
        raise Problem(404, f"Repository not found{words}", REPO_NOT_FOUND)

    @property
    def created(self) -> str:
        """When it was made, as RFC 3339."""
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime((self.folder / "HEAD").stat().st_mtime))

    def downloaded(self) -> None:
        """Count one more download."""
        _grow(self.folder / DOWNLOADS)

    @property
    def downloads(self) -> int:
        """How often it was downloaded."""
        with suppress(FileNotFoundError):
            return (self.folder / DOWNLOADS).stat().st_size
        return 0

    @property
    def contents(self) -> Ledger:
        """What it has a right to."""
        return Ledger(self.folder)

    @property
    def private(self) -> bool:
        """Whether only its owners may read it."""
        return (self.folder / PRIVATE).exists()

    @property
    def gated(self) -> GateKind | None:
        """How its gate is kept; None where it has none. What cannot be read is kept by those who may write."""
        try:
            return "auto" if (self.folder / GATE).read_bytes() == b"auto" else "manual"
        except FileNotFoundError:
            return None

    @property
    def upstream(self) -> str | None:
        """The address of what it is a copy of, on another Hub; None for a repository of this one."""
        try:
            return (self.folder / UPSTREAM).read_text().strip()
        except FileNotFoundError:
            return None

    @property
    def asked(self) -> float:
        """When its upstream was asked last, and answered: seconds since 1970."""
        return (self.folder / UPSTREAM).stat().st_mtime

    def set_private(self, private: bool) -> None:
        """Close it to all but its owners, or open it."""
        with self.lock():
            if private:
                write_atomic(self.folder / PRIVATE, b"")
            else:
                (self.folder / PRIVATE).unlink(missing_ok=True)

    @classmethod
    def create(cls, root: Path, name: RepoName, author: str, files: dict[str, bytes], *, private: bool = False) -> bool:
        """Make the repository, with a first commit of `files`, in one step. False where there is one already.

        Raises Problem 403 for the name of one that was deleted: what was published by a name stays that or nothing.
        """

        def fill(new: Repository) -> None:
            puts = [Put(path, git.run(new.folder, "hash-object", "-w", "--stdin", given=data).decode().strip())
                    for path, data in files.items()]  # fmt: skip
            new.write(BRANCHES + MAIN, git.ABSENT, puts, author, "initial commit")

        return cls.born(root, name, fill, private=private)

    @classmethod
    def born(cls, root: Path, name: RepoName, fill: Callable[[Repository], None], *, private: bool) -> bool:
        """Make the repository, in one step, as `fill` makes it of an empty one. Else as `create`."""
        place = folder_of(root, name)
        if not cls.is_free(root, name):
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
        try:
            git.run(beside, "init", "--quiet", "--bare", f"--initial-branch={MAIN}", "--template=")
            for key in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):
                git.run(beside, "config", key, "true")
            fill(cls(name, beside))
            if private:
                (beside / PRIVATE).touch()
            with locked(root / NAMING):
                if not cls.is_free(root, name):  # somebody was faster, perhaps in another case
                    return False
                beside.rename(place)
        except FileExistsError:
            return False
        except OSError:
            if place.exists():
                return False
            raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        sync_directory(place.parent)
        _grow(root / MARK)
        return True

    @staticmethod
    def is_free(root: Path, name: RepoName) -> bool:
        """Whether that name can be given; False where a repository has it.

        Raises Problem 403 as `create`, and beyond MAX_NAMES.
        """
        taken = spelled(root, name) or name
        if folder_of(root, taken).exists():
            return False
        if Tombstone.of(root, taken) is not None:
            raise Problem(403, f"{taken} was there before, and its name is not given again")
        if taken != name:
            raise Problem(403, f"{name.owner} differs from {taken.owner} by its case only")
        if names_given(root, name) >= MAX_NAMES:
            raise Problem(403, f"{name.owner} has had {MAX_NAMES} {name.kind}: no more fit into one namespace")
        return True

    def resolve(self, revision: str) -> str:
        """The commit that a commit, a branch, a tag, a full ref or an abbreviated commit stands for, in this order.

        `HEAD` is main. Raises Problem 404 for all else.
        """
        if is_commit(revision) and refs.is_commit(self.folder, revision):
            return revision  # no branch or tag looks like this
        revision = MAIN if revision == "HEAD" else revision
        if (head := refs.loose(self.folder, BRANCHES + revision)) is not None:
            return head
        names = [BRANCHES + revision, TAGS + revision] + ([revision] if revision.startswith("refs/") else [])
        found = refs.named(self.folder, *names)
        for name in names:
            if found.get(name):
                return found[name]
        if _ABBREVIATED.fullmatch(revision) and (whole := refs.whole(self.folder, revision)):
            return whole
        raise Problem(404, f"Invalid rev id: {revision}", REVISION_NOT_FOUND)

    def rows(self, commit: str, directory: str | None = None, *, recursive: bool = False) -> list[TreeRow]:
        """What is in a directory at `commit`, the root for None. Raises Problem 404 where there is none."""
        found = objects.tree(self.folder, commit, [f"{directory}/"] if directory else [], recursive=recursive)
        rows = [row for row in found if not directory or row.path.startswith(f"{directory}/")]
        if directory and not rows:
            raise Problem(404, f"{directory} is not a directory at {commit}", ENTRY_NOT_FOUND)
        return rows

    def commit(self, branch: str, parent: str | None, changes: Sequence[Change], author: str, message: str) -> str:
        """One new commit on `branch`; its id.

        Raises Problem 412 unless `parent` (or the first characters of it) is the branch's head, where it is given;
        404 where there is no such branch, or nothing to delete; 400 for changes that cannot be together in one tree.
        """
        with self.lock():
            head = refs.tip(self.folder, BRANCHES + branch)
            if head is None:
                raise Problem(404, f"Invalid rev id: {branch}", REVISION_NOT_FOUND)
            if parent is not None and not head.startswith(parent):
                raise outdated()
            return self.write(BRANCHES + branch, head, changes, author, message)

    def delete(self, root: Path, by: str, *, released: bool) -> None:
        """Take the repository away, for good. Its tombstone tells who did it and which tags it had.

        The large files stay in the store until `glasshouse serve --collect`.
        released: whether one goes, too, in which others may rely on what was released, or said of it: else Problem 403.
        """
        with self.lock():
            if not released and (
                releases.tagged(self.folder) or refs.named(self.folder, *(BRANCHES + n for n in KEPT))
            ):
                raise Problem(403, f"others may rely on the releases of {self.name}: only an admin deletes it")
            tags = {ref.removeprefix(TAGS): oid for ref, oid in refs.named(self.folder, TAGS).items()}
            Tombstone(self.name, by, int(time.time()), tags, self.private).write(root)
            gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=self.folder.parent))
            self.folder.rename(gone / "repository")
        sync_directory(self.folder.parent)
        shutil.rmtree(gone, ignore_errors=True)

    def move(self, root: Path, new: RepoName, by: str) -> bool:
        """Give the repository another name, by which it is found as by this one; False where somebody has the new one.

        A name that it had before can be had again. Raises Problem 403 as `create`.
        """
        with self.lock():
            place = folder_of(root, new)
            place.parent.mkdir(parents=True, exist_ok=True)
            told = Tombstone(self.name, by, int(time.time()), {}, private=True, moved_to=new)
            with locked(root / NAMING):
                if not self._was_called(root, new) and not self.is_free(root, new):
                    return False
                told.write(root)  # a name that still has its repository does not look here
                self.folder.rename(place)
        sync_directory(self.folder.parent)
        sync_directory(place.parent)
        return True

    def _was_called(self, root: Path, name: RepoName) -> bool:
        """Whether this repository had that name once, and nothing else has it now."""
        told = Tombstone.of(root, name)
        if told is None or told.moved_to is None or folder_of(root, name).exists():
            return False
        return Repository.open(root, name).folder == self.folder

    def write(
        self, ref: str, head: str, changes: Sequence[Change], author: str, message: str, *, old: str | None = None,
        when: str | None = None,
    ) -> str:  # fmt: skip
        """Build the tree upon `head`, then the commit, then move `ref` from `old` (`head` by default). Holds no lock.

        when: the commit's time, RFC 3339; by default, now. Raises Problem as `commit` does.
        """
        with git.scratch_index(self.folder) as index:
            tree, after = trees.made(self.folder, head, changes, index)
            tree = attributes.told_of(self.folder, tree, changes, after, index)
        parents = [] if head == git.ABSENT else ["-p", head]
        made = self.write_commit(tree, parents, author, message, when)
        git.admit(self.folder)
        refs.move(self.folder, ref, made, head if old is None else old)
        return made

    def write_commit(
        self, tree: str, parents: Sequence[str], author: str, message: str, when: str | None = None
    ) -> str:
        """A commit that nothing refers to yet. parents: `-p`, commit, and so on.  when: as `write` has it."""
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when} if when else {}
        extra = identity(author) | dates
        return git.run(self.folder, "commit-tree", tree, *parents, given=message.encode(), extra=extra).decode().strip()

    @contextmanager
    def lock(self, *, patient: bool = False) -> Iterator[None]:
        """Hold this repository against all other threads and processes.

        patient: whether to wait as long as it takes, for what is done already must not be lost.
        Raises Problem 404 where it has gone since, 503 where others take longer than LOCK_SECONDS.
        """
        with ExitStack() as stack:
            try:
                with suppress(FileNotFoundError):
                    stack.enter_context(locked(self.folder / LOCK, seconds=None if patient else LOCK_SECONDS))
            except TimeoutError as problem:
                raise busy(str(self.name)) from problem
            if not (self.folder / "HEAD").is_file():
                raise Problem(404, "Repository not found: it was deleted", REPO_NOT_FOUND)
            try:
                yield
            finally:
                _grow(self.folder.parents[2] / MARK)


def _grow(path: Path) -> None:
    """Make a file a byte longer, in one step; made if missing. That it cannot is not worth a word."""
    with suppress(OSError), path.open("ab", buffering=0) as stream:
        stream.write(b".")


def identity(name: str) -> dict[str, str]:
    """The variables that tell git who does it."""
    return {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", name), ("EMAIL", f"{name}@users.invalid"))
    }
