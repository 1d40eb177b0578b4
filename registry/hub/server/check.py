"""Is everything in the store what it says it is? For `glasshouse serve --check`; safe while the server runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from registry.digest import Progress, sha256_file
from registry.hub.server import git
from registry.hub.server.blobs import BlobStore
from registry.hub.server.ledger import Ledger

YOUNG_SECONDS = 24 * 3600
"""A blob that nothing refers to yet is left alone for this long: its commit may be on the way."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found. faults: sentences.  unused: blobs that no repository has a right to."""

    repositories: int
    blobs: int
    size: int
    faults: tuple[str, ...]
    unused: tuple[Path, ...]


def check(root: Path, progress: Progress | None = None) -> Found:
    """Have git check every repository, hash every blob, and look for each blob that a repository says it has.

    progress: is told bytes of blobs.
    """
    folders = sorted((root / "repos").glob("*/*/*.git"))
    store = BlobStore(root / "blobs")
    faults, used = [], set()
    for folder in folders:
        where = folder.relative_to(root / "repos").as_posix().removesuffix(".git")
        try:
            git.run(folder, "fsck", "--strict", "--no-dangling", "--no-progress")
        except git.GitFailed as problem:
            faults.append(f"{where}: {problem.words[:500]}")
        for oid, size in Ledger(folder).blobs().items():
            used.add(oid)
            if store.size(oid) != size:
                faults.append(f"{where}: the large file sha256:{oid} of {size} bytes is not in the store")
    size, unused, count = 0, [], 0
    for blob in store.all():
        count += 1
        size += blob.stat().st_size
        if (found := sha256_file(blob, progress)) != blob.name:
            faults.append(f"the blob {blob.name} has the digest {found}")
        if blob.name not in used:
            unused.append(blob)
    return Found(len(folders), count, size, tuple(faults), tuple(unused))


def collect(root: Path, found: Found, younger: float = YOUNG_SECONDS) -> int:
    """Remove the unused blobs that are not young, and abandoned uploads; the bytes that it freed."""
    freed = 0
    for blob in found.unused:
        info = blob.stat()
        if info.st_mtime < time.time() - younger:
            blob.unlink()
            freed += info.st_size
    BlobStore(root / "blobs").collect(younger)
    return freed
