"""Is everything in the store what it says it is? For `glasshouse serve --check`; safe while the server runs.

What held when it was read last, and was not written since, is not read again, unless all is asked for: a disk that
changes bytes by itself is found by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.digest import Progress
from registry.errors import InputError, Unavailable
from registry.server.problems import Problem
from registry.server.store import git
from registry.server.store.blobs import Blob, BlobStore
from registry.server.store.held import HeldMemory, stamp_of
from registry.server.store.holdings import folders_while, is_there, large_files
from registry.server.store.places import BLOBS, REPOSITORIES
from registry.server.store.stores import blob_store


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found. faults: sentences.  unused: digests of blobs that no repository has a right to."""

    repositories: int
    blobs: int
    size: int
    faults: tuple[str, ...]
    unused: tuple[str, ...]


def examine(root: Path, progress: Progress | None = None, *, everything: bool = False) -> Examined:
    """Have git check every repository, hash every blob, and look for each blob that a repository says it has.

    progress: is told bytes of blobs.  everything: also what held before, and was not written since.
    Raises InputError for a folder that is not a server's, Unavailable where the store of blobs does not answer.
    """
    if not (root / REPOSITORIES).is_dir() and not (root / BLOBS).is_dir():
        raise InputError(
            f"{root} is not the folder of a server", mend="give the --root that `glasshouse serve` was given"
        )
    with answering():
        held = HeldMemory(root, everything)
        found = _examined(root, blob_store(root), progress or (lambda count: None), held)
        held.save()
        return found


@contextmanager
def answering() -> Iterator[None]:
    """Around what asks the store of blobs: that it does not answer becomes Unavailable."""
    try:
        yield
    except Problem as problem:
        raise Unavailable(str(problem), mend="try again later") from problem


def _examined(root: Path, store: BlobStore, progress: Progress, held: HeldMemory) -> Examined:
    faults: list[str] = []
    there, used = 0, set[str]()
    for folder in folders_while(root / REPOSITORIES):
        found = _check_repository(root, folder, store, held)
        used |= large_files(folder).keys()
        if is_there(folder):  # else it was deleted, or got another name
            faults += found
            there += 1
    size, unused, count = 0, [], 0
    for blob in store.all():
        count += 1
        size += blob.size
        faults += _check_blob(blob, store, held)
        progress(blob.size)
        if blob.sha256 not in used:
            unused.append(blob.sha256)
    return Examined(there, count, size, tuple(faults), tuple(unused))


def _check_blob(blob: Blob, store: BlobStore, held: HeldMemory) -> list[str]:
    """What is amiss with a blob. Raises Problem 503 where the store does not answer."""
    try:
        stamp = f"{blob.size}:{store.modified(blob.sha256)!r}"
        if held.knows(blob.sha256, stamp):
            return []
        if (found := store.digest(blob.sha256)) != blob.sha256:
            return [f"the blob {blob.sha256} has the digest {found}"]
    except Problem as problem:
        if problem.status == 503:
            raise
        return [f"the blob {blob.sha256}: {problem}"]
    held.add(blob.sha256, stamp)
    return []


def _check_repository(root: Path, folder: Path, store: BlobStore, held: HeldMemory) -> list[str]:
    where, stamp = folder.relative_to(root / REPOSITORIES).as_posix().removesuffix(".git"), stamp_of(folder)
    faults = []
    if not held.knows(where, stamp):
        try:
            git.run(folder, "fsck", "--strict", "--no-dangling", "--no-progress")
            held.add(where, stamp)
        except git.GitFailed as problem:
            faults.append(f"{where}: {problem.words[:500]}")
    for oid, size in large_files(folder).items():
        if store.size(oid) != size:
            faults.append(f"{where}: the large file sha256:{oid} of {size} bytes is not in the store")
    return faults
