"""A release in this server's store, as registry.catalog reads releases: without a client, and without a network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry import suffixes
from registry.attest.bundle import MAX_BYTES
from registry.errors import InputError, Unavailable
from registry.hub.reference import DATASETS, HubReference
from registry.server.pages import snapshots
from registry.server.problems import Problem
from registry.server.store import objects, pointers
from registry.server.store.large_files import LargeFiles, read_all
from registry.server.store.repository import Repository
from registry.verification.case import Evidence
from registry.verification.evidence import BRANCHES, MAX_BUNDLES

MAX_FILE = 64 << 20
"""Bytes of a file that a page lays on the disk to look at."""
MAX_WORDS = 64 << 20
"""Bytes of all that a branch says of one release."""

Said = tuple[tuple[str, str], ...]
"""(branch, commit) of each branch on which others speak of releases."""


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
    said: Said = ()
    """(branch, commit) of the branches on which others speak of it."""

    @property
    def reference(self) -> HubReference:
        """What names it."""
        return reference_of(self.repo, self.tag)

    def read(self, path: str, max_bytes: int) -> bytes:
        """As ReleaseShelf. Raises Unavailable where the store has lost its content."""
        data = self._shown(path)
        if data is not None and len(data) <= max_bytes:
            return data
        return _read(self.repo, self.large, self.commit, path, max_bytes)

    def head(self, path: str, most: int) -> bytes:
        """The first `most` bytes of a file. Raises as `read`."""
        data = self._shown(path)
        return data[:most] if data is not None else _read(self.repo, self.large, self.commit, path, most, whole=False)

    def _shown(self, path: str) -> bytes | None:
        """A file that is read with others, and stands in git whole."""
        data = snapshots.texts(self.repo.folder, self.commit).get(path) if path in snapshots.SHOWN else None
        return data if data is not None and pointers.pointed(data) is None else None

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
        rows = [row for row in objects.tree(self.repo.folder, commit, [f"{self.tag}/"]) if not row.directory]
        wanted = sorted((row for row in rows if row.path.endswith(suffixes.BUNDLE)), key=lambda row: row.path)
        if len(wanted) > MAX_BUNDLES:
            raise InputError(f"{len(wanted)} bundles are in {branch}:{self.tag}/", mend="keep the branch short")
        if any(row.size > MAX_BYTES for row in wanted) or sum(row.size for row in wanted) > MAX_WORDS:
            raise InputError(f"over {MAX_WORDS} bytes are in {branch}:{self.tag}/", mend="keep the branch short")
        read = objects.contents(self.repo.folder, [row.oid for row in wanted])
        return [
            Evidence(
                f"{branch}:{row.path}",
                data if data is not None and row.sha256 is None
                else _read(self.repo, self.large, commit, row.path, MAX_BYTES),
            )
            for row, data in zip(wanted, read, strict=True)
        ]  # fmt: skip


def said_on(heads: Mapping[str, str]) -> Said:
    """The branches on which others speak. heads: {branch: commit} of a repository."""
    return tuple((branch, heads[branch]) for branch in BRANCHES if branch in heads)


def _read(
    repo: Repository, large: LargeFiles, commit: str, path: str, max_bytes: int, *, whole: bool = True
) -> bytes:  # fmt: skip
    """A file, or its first bytes where not the `whole` is asked for."""
    try:
        content = large.content(repo, commit, path)
    except Problem as problem:
        kind = Unavailable if "lost" in problem.message else InputError
        raise kind(f"{repo.name}: {problem.message}", mend="ask the maintainer for it") from problem
    if whole and content.size > max_bytes:
        raise InputError(f"{path} has {content.size} bytes, more than the {max_bytes} that are read", mend="clone it")
    return read_all(content, 0, min(content.size, max_bytes))
