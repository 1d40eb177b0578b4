"""Is everything in the store what it says it is? For `glasshouse serve --check`; safe while the server runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.digest import Progress
from registry.errors import InputError, Unavailable
from registry.server.locks import locked
from registry.server.problems import Problem
from registry.server.store import git
from registry.server.store.blobs import BlobStore
from registry.server.store.ledger import Ledger
from registry.server.store.places import BLOBS, COLLECT_LOCK, REPOSITORIES, UPLOADS
from registry.server.store.repository import LOCK
from registry.server.store.stores import blob_store
from registry.server.store.uploads import Uploads

YOUNG_SECONDS = 24 * 3600
"""A blob that nothing refers to yet is left alone for this long: its commit may be on the way."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found. faults: sentences.  unused: digests of blobs that no repository has a right to."""

    repositories: int
    blobs: int
    size: int
    faults: tuple[str, ...]
    unused: tuple[str, ...]


def examine(root: Path, progress: Progress | None = None) -> Examined:
    """Have git check every repository, hash every blob, and look for each blob that a repository says it has.

    progress: is told bytes of blobs.  Raises InputError for a folder that is not a server's, Unavailable where the
    store of blobs does not answer.
    """
    if not (root / REPOSITORIES).is_dir() and not (root / BLOBS).is_dir():
        raise InputError(
            f"{root} is not the folder of a server", mend="give the --root that `glasshouse serve` was given"
        )
    with _answering():
        return _examined(root, blob_store(root), progress or (lambda count: None))


@contextmanager
def _answering() -> Iterator[None]:
    """Around what asks the store of blobs: that it does not answer becomes Unavailable."""
    try:
        yield
    except Problem as problem:
        raise Unavailable(str(problem), mend="try again later") from problem


def _examined(root: Path, store: BlobStore, progress: Progress) -> Examined:
    faults: list[str] = []
    folders = _repositories(root)
    for folder in folders:
        faults += _check_repository(root, folder, store)
    used = _used(folders)
    size, unused, count = 0, [], 0
    for blob in store.all():
        count += 1
        size += blob.size
        try:
            if (found := store.digest(blob.sha256)) != blob.sha256:
                faults.append(f"the blob {blob.sha256} has the digest {found}")
        except Problem as problem:
            if problem.status == 503:
                raise
            faults.append(f"the blob {blob.sha256}: {problem}")
        progress(blob.size)
        if blob.sha256 not in used:
            unused.append(blob.sha256)
    return Examined(len(folders), count, size, tuple(faults), tuple(unused))


def collect(root: Path, found: Examined, younger: float = YOUNG_SECONDS) -> int:
    """Remove the unused blobs that are not young, abandoned uploads, and what commits that were cut off left in git.

    The bytes that it freed, of blobs and of git. Raises Unavailable where the store of blobs does not answer.
    """
    with _answering():
        return _collected(root, blob_store(root), found, younger)


def _collected(root: Path, store: BlobStore, found: Examined, younger: float) -> int:
    freed = 0
    for folder in _repositories(root):
        freed += _tidy(folder, younger)
    with locked(root / COLLECT_LOCK):  # no blob is being put, to be used a moment later
        used = _used(_repositories(root))
        for sha256 in found.unused:
            size = store.size(sha256)
            if sha256 not in used and size is not None and store.modified(sha256) < time.time() - younger:
                store.remove(sha256)
                freed += size
    Uploads(root / UPLOADS).collect(younger)
    return freed


def _tidy(folder: Path, younger: float) -> int:
    """Pack the objects of a repository, without those that nothing refers to and that are not young; bytes freed."""

    def size() -> int:
        return sum(path.stat().st_size for path in (folder / "objects").rglob("*") if path.is_file())

    with locked(folder / LOCK):  # no commit is being made
        before = size()
        git.run(folder, "gc", "--quiet", f"--prune={max(0, int(younger))}.seconds.ago")
        return max(0, before - size())


def _check_repository(root: Path, folder: Path, store: BlobStore) -> list[str]:
    where = folder.relative_to(root / REPOSITORIES).as_posix().removesuffix(".git")
    faults = []
    try:
        git.run(folder, "fsck", "--strict", "--no-dangling", "--no-progress")
    except git.GitFailed as problem:
        faults.append(f"{where}: {problem.words[:500]}")
    for oid, size in Ledger(folder).blobs().items():
        if store.size(oid) != size:
            faults.append(f"{where}: the large file sha256:{oid} of {size} bytes is not in the store")
    return faults


def _used(folders: Iterable[Path]) -> set[str]:
    return {oid for folder in folders for oid in Ledger(folder).blobs()}


def _repositories(root: Path) -> list[Path]:
    return sorted((root / REPOSITORIES).glob("*/*/*.git"))
