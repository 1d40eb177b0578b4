"""A release in this server's store, as registry.catalog reads releases: without a client, and without a network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry import suffixes
from registry.attest.bundle import MAX_BYTES
from registry.errors import InputError, Unavailable
from registry.hub.reference import DATASETS, HubReference
from registry.server.problems import Problem
from registry.server.store import git
from registry.server.store.large_files import LargeFiles, read_all
from registry.server.store.repository import Repository
from registry.verification.case import Evidence
from registry.verification.evidence import BRANCHES, MAX_BUNDLES

MAX_FILE = 64 << 20
"""Bytes of a file that a page lays on the disk to look at."""
MAX_WORDS = 64 << 20
"""Bytes of all that a branch says of one release."""


def reference_of(repo: Repository, tag: str) -> HubReference:
    """What names the release `tag` of `repo` on this Hub."""
    return HubReference(f"{DATASETS if repo.name.kind == 'datasets' else ''}{repo.name}", tag)


@dataclass(frozen=True, slots=True)
class StoreShelf:
    """A release in the store, at one commit. It is a registry.catalog.shelves.ReleaseShelf."""

    repo: Repository
    """Its repository."""
    tag: str
    """The tag, or another revision that it was asked for by."""
    commit: str
    """The commit that everything is read at."""
    large: LargeFiles
    """The large files of the server."""
    said: tuple[tuple[str, str], ...] = ()
    """(branch, commit) of the branches on which others speak of it."""

    @property
    def reference(self) -> HubReference:
        """What names it."""
        return reference_of(self.repo, self.tag)

    def read(self, path: str, max_bytes: int) -> bytes:
        """As ReleaseShelf. Raises Unavailable where the store has lost its content."""
        return _read(self.repo, self.large, self.commit, path, max_bytes)

    @contextmanager
    def file(self, path: str, max_bytes: int) -> Iterator[Path]:
        """As ReleaseShelf; a page waits for it, so no more than MAX_FILE bytes are read."""
        with tempfile.TemporaryDirectory(prefix="glasshouse-") as folder:
            there = Path(folder) / "file"
            there.write_bytes(self.read(path, min(max_bytes, MAX_FILE)))
            yield there

    def words(self, branch: str) -> list[Evidence]:
        """As ReleaseShelf."""
        commit = dict(self.said).get(branch)
        if commit is None:
            return []
        names = [row.path for row in git.tree(self.repo.folder, commit, [f"{self.tag}/"]) if not row.directory]
        wanted = sorted(name for name in names if name.endswith(suffixes.BUNDLE))
        if len(wanted) > MAX_BUNDLES:
            raise InputError(f"{len(wanted)} bundles are in {branch}:{self.tag}/", mend="keep the branch short")
        found, left = [], MAX_WORDS
        for name in wanted:
            data = _read(self.repo, self.large, commit, name, MAX_BYTES)
            left -= len(data)
            if left < 0:
                raise InputError(f"over {MAX_WORDS} bytes are in {branch}:{self.tag}/", mend="keep the branch short")
            found.append(Evidence(f"{branch}:{name}", data))
        return found


def shelf_of(repo: Repository, large: LargeFiles, tag: str, commit: str, refs: dict[str, str]) -> StoreShelf:
    """The shelf of the release at `commit`. refs: the branches of the repository by their names."""
    said = tuple((branch, refs[branch]) for branch in BRANCHES if branch in refs)
    return StoreShelf(repo, tag, commit, large, said)


def _read(repo: Repository, large: LargeFiles, commit: str, path: str, max_bytes: int) -> bytes:
    try:
        content = large.content(repo, commit, path)
    except Problem as problem:
        kind = Unavailable if "lost" in problem.message else InputError
        raise kind(f"{repo.name}: {problem.message}", mend="ask the maintainer for it") from problem
    if content.size > max_bytes:
        raise InputError(f"{path} has {content.size} bytes, more than the {max_bytes} that are read", mend="clone it")
    return read_all(content, 0, content.size)
