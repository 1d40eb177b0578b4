"""The newest release of each repository: read once, and kept until one of its refs changes. Nothing is on the disk.

What can be searched for is in `store/index.py`; this is what a page shows beside it.

Law: a row is what a reading now would give, but for words that grow stale by the clock; those the page of a release
tells. A repository's state is told by the times at which git last wrote its refs. A state that is younger than the
disk's clock can tell apart is not kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from registry.catalog.entry import ReleaseEntry
from registry.catalog.shelves import MAX_TAGS
from registry.errors import GlasshouseError, VerificationError
from registry.records import layout
from registry.records.openness_record import OpennessClass, OpennessRecord
from registry.server.names import RepoName
from registry.server.pages import expected
from registry.server.pages.checking import key_of
from registry.server.pages.expected import Stamp, modified
from registry.server.pages.shelf import Said, StoreShelf, said_on
from registry.server.problems import REPO_NOT_FOUND, Problem
from registry.server.store import refs
from registry.server.store.large_files import LargeFiles
from registry.server.store.repository import BRANCHES, TAGS, Repository
from registry.versions import numbers, order

SETTLED = 2.0
"""Seconds after which a file's time tells one writing from the next, on any disk."""
NO_FOLDERS = 2
"""Links of a folder that holds none, where the file system counts them; elsewhere it has one."""
MAX_TAKEN_BACK = 20
"""Releases that are looked at for one that was not taken back."""


@dataclass(frozen=True, slots=True)
class Released:
    """What a list says of the newest release."""

    tag: str
    """Its tag."""
    shelf: StoreShelf
    """Where it lies."""
    key: str
    """What is known of it: of `checking.key_of`."""
    signer: str
    """Who signed it, in words; why that is not told, else."""
    holds: bool
    """Whether the signature holds, by whom the operator named or the release shows."""
    named: bool
    """Whether the operator named the signers."""
    standing: str | None
    """The newest word on its status, such as `yanked`; None where none is heard."""
    license: str | None
    """Which licence the weights have."""
    parameters: int | None
    """How many numbers the weights hold."""
    size: int
    """Bytes of all its files."""
    date: str
    """When it was signed, or else its commit made: RFC 3339."""
    rebuilt: int | None = None
    """How many rebuilders whom the operator named came to a verdict that counts; None where that is not known."""
    differs: bool = False
    """Whether one of them found it DIFFERENT."""
    openness: OpennessClass | None = None
    """The class that its signed record says it has; None where there is none, or the record does not say."""

    def as_json(self) -> dict[str, Any]:
        """The form that the JSON of a page has."""
        return {
            "tag": self.tag, "commit": self.shelf.commit, "signer": self.signer, "signatureHolds": self.holds,
            "signerExpected": self.named, "standing": self.standing, "parameters": self.parameters,
            "bytes": self.size, "date": self.date, "rebuilt": self.rebuilt, "rebuildDiffers": self.differs,
            "openness": self.openness,
        }  # fmt: skip


@dataclass(frozen=True)
class IndexRow:
    """The releases of a repository, as its refs were."""

    repo: Repository
    """Which it is."""
    tags: Mapping[str, str]
    """{tag: commit} of each release, the newest first."""
    said: Said
    """Where others speak of them."""
    root: Path
    """The folder of the server."""
    large: LargeFiles
    """Its large files."""

    @property
    def name(self) -> RepoName:
        """Its name."""
        return self.repo.name

    def shelf(self, tag: str, commit: str) -> StoreShelf:
        """The release at `commit`. tag: by which it is asked for."""
        return StoreShelf(self.repo, tag, commit, self.large, self.said)

    @cached_property
    def released(self) -> Released | None:
        """The newest release that is not taken back, else the newest; None where there is none that can be read.

        Raises GitFailed where the repository has gone since.
        """
        newest = None
        for tag in list(self.tags)[:MAX_TAKEN_BACK]:
            found = _released(self.root, self.shelf(tag, self.tags[tag]))
            newest = newest or found
            if found is not None and found.standing != "yanked":
                return found
        return newest


@dataclass(slots=True)
class ListIndex:
    """The rows of one server, whose folder is `root`."""

    root: Path
    """Its folder."""
    large_of: Callable[[Repository], LargeFiles]
    """The large files among which those of a repository are."""
    _kept: dict[Path, tuple[Stamp, IndexRow]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def row(self, repo: Repository) -> IndexRow:
        """The releases of it. Raises Problem 404 where it has gone since, or GitFailed."""
        try:
            stamp = (*expected.stamp(self.root, repo.name.owner), *_written(os.fspath(repo.folder)))
        except FileNotFoundError as problem:
            raise Problem(404, f"{repo.name} has gone", REPO_NOT_FOUND) from problem
        kept = self._kept.get(repo.folder)
        if kept is not None and kept[0] == stamp and kept[1].name == repo.name:
            return kept[1]
        heads, tags = _refs_of(repo)
        row = IndexRow(repo, tags, said_on(heads), self.root, self.large_of(repo))
        with self._lock:
            if max(at for _, at in stamp) < (time.time() - SETTLED) * 1e9:
                self._kept[repo.folder] = stamp, row
            else:
                self._kept.pop(repo.folder, None)
        return row


def _written(repository: str) -> Stamp:
    """When each folder of refs was written last. Raises FileNotFoundError where the repository has gone."""
    head = os.stat(f"{repository}/HEAD")  # noqa: PTH116  # a Path costs as much again
    marks = [("", head.st_mtime_ns), ("packed", modified(f"{repository}/packed-refs"))]
    for top in ("heads", "tags"):
        known = os.stat(f"{repository}/refs/{top}")  # noqa: PTH116
        marks.append((top, known.st_mtime_ns))
        if known.st_nlink != NO_FOLDERS:
            for folder, _, _ in os.walk(f"{repository}/refs/{top}"):
                marks.append((folder, modified(folder)))
    return tuple(marks)


def _refs_of(repo: Repository) -> tuple[dict[str, str], dict[str, str]]:
    """({branch: commit}, {version: commit, the newest first}) of a repository, the versions within bounds."""
    found = refs.named(repo.folder)
    heads = {name.removeprefix(BRANCHES): oid for name, oid in found.items() if name.startswith(BRANCHES)}
    tags = {name.removeprefix(TAGS): oid for name, oid in found.items() if name.startswith(TAGS)}
    newest = sorted((tag for tag in tags if numbers(tag)), key=order, reverse=True)[:MAX_TAGS]
    return heads, {tag: tags[tag] for tag in newest}


def _released(root: Path, shelf: StoreShelf) -> Released | None:
    """What is said of one release; None where it has no statement that can be read."""
    try:
        found = expected.read(root, shelf)
    except GlasshouseError:
        return None
    entry, record, newest = found.entry, None, None
    with suppress(GlasshouseError):
        record = entry.record
    with suppress(GlasshouseError):
        newest = entry.newest
    rebuilt, differs = None, False
    try:
        rebuilt = entry.rebuilt
    except VerificationError:
        differs = True
    except GlasshouseError:
        pass  # audits that cannot be read whole count for nothing
    at = entry.signature.at.isoformat() if entry.signature.at else record.source.committed_at if record else ""
    holds = entry.signature.verified is not None
    return Released(
        shelf.tag, shelf, key_of(shelf, found), entry.signature.words, holds, found.named,
        newest.status.standing if newest else None, record.license if record else None,
        record.parameters if record else None, sum(file.size for file in entry.release.files), at,
        rebuilt, differs, class_of(entry),
    )  # fmt: skip


def class_of(entry: ReleaseEntry) -> OpennessClass | None:
    """How open its signed record says that it is; None where there is none that can be read, or it says none."""
    with suppress(GlasshouseError):
        return OpennessRecord.from_bytes(entry.read(layout.OPENNESS), name=layout.OPENNESS).reached
    return None
