"""Room that comes back: what no ref of any repository leads to is taken away. Safe while the server runs.

    closed pull requests -> their refs -> commits and large files that no ref leads to -> rows of the ledger -> blobs
    -> maps of Xet uploads

Laws: what is younger than a grace stays, for its commit may be on the way; a blob goes only when no ledger names it,
and while nobody enters one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from registry.server.access.tokens import TokenStore
from registry.server.check import answering
from registry.server.locks import locked
from registry.server.problems import Problem
from registry.server.store import git, reachable, refs
from registry.server.store.blobs import BlobStore
from registry.server.store.holdings import folders, folders_while, is_there, large_files
from registry.server.store.ledger import Ledger
from registry.server.store.places import BOOKED, COLLECT_LOCK, REPOSITORIES, REQUESTS, UPLOADS, XORB_MAPS
from registry.server.store.remains import sweep
from registry.server.store.repository import LOCK
from registry.server.store.stores import blob_store
from registry.server.store.uploads import Uploads
from registry.server.store.xorbs import files_of

YOUNG_SECONDS = 24 * 3600
"""What nothing refers to is left alone for this long."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of it. freed: bytes.  faults: repositories that git cannot read whole, in sentences; they were left."""

    freed: int
    faults: tuple[str, ...]


def collect(root: Path, younger: float = YOUNG_SECONDS) -> Collected:
    """Take away what nothing refers to, in repositories and in the store.

    younger: seconds that anything is left alone.  Raises Unavailable where the store of blobs does not answer.
    """
    freed, faults = 0, []
    with answering():
        store = blob_store(root)
        for folder in folders_while(root / REPOSITORIES):
            try:
                freed += _tidy(folder, younger)
            except git.GitFailed as problem:
                if not is_there(folder):
                    continue
                faults.append(f"{'/'.join(folder.parts[-3:])}: {problem.words[:500]}")
        if not faults:
            _let_go_of_proposals(root, younger)
        sizes = {blob.sha256: blob.size for blob in store.all()}
        freed += _remove(root, store, sizes, younger)
        _forget_maps(root, sizes.keys(), younger)
        Uploads(root / UPLOADS).collect(younger)
        sweep(root / REPOSITORIES)
    return Collected(freed, tuple(faults))


def _remove(root: Path, store: BlobStore, sizes: dict[str, int], younger: float) -> int:
    """Remove the blobs that no ledger names, from `sizes`, too; bytes freed."""
    before, freed = time.time() - younger, 0
    with locked(root / COLLECT_LOCK):  # no blob is being put, to be entered a moment later
        used = {oid for folder in folders(root / REPOSITORIES) for oid in large_files(folder)}
        for sha256 in sizes.keys() - used:
            with suppress(Problem):  # it went meanwhile
                if store.modified(sha256) < before:
                    store.remove(sha256)
                    freed += sizes.pop(sha256)
    return freed


def _forget_maps(root: Path, blobs: Collection[str], younger: float) -> None:
    """Remove the maps of tokens that are gone, and those that lead to none of `blobs`."""
    tokens = {token.id for token in TokenStore(root).list()}
    for folder in (root / XORB_MAPS).glob("*/"):
        if folder.name not in tokens:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - younger and files_of(path).isdisjoint(blobs):
                    path.unlink()


def _tidy(folder: Path, younger: float) -> int:
    """Let go of what no ref of a repository leads to, and pack its objects; the bytes that git freed."""
    with suppress(FileNotFoundError), locked(folder / LOCK):  # no commit is being made
        if not is_there(folder):
            return 0
        _end_closed(folder, younger)
        _let_go(folder, younger)
        before = _size(folder / "objects")
        refs.free_all(folder)
        git.run(folder, "gc", "--quiet", f"--prune={max(0, int(younger))}.seconds.ago")
        return max(0, before - _size(folder / "objects"))
    return 0  # it has gone


def _end_closed(folder: Path, younger: float) -> None:
    """Take away what pull requests held that were closed long ago."""
    for path in (folder / REQUESTS).glob("*/"):
        if path.stat().st_mtime < time.time() - younger:
            shutil.rmtree(path, ignore_errors=True)


def _let_go_of_proposals(root: Path, younger: float) -> None:
    """Strike out of what is booked to who proposed it whatever no open pull request leads to."""
    found = set[str]()
    for folder in folders_while(root / REPOSITORIES):
        words = ("--glob=refs/pr/*", "--not", "--branches", "--tags")
        try:
            found.update(git.run(folder, "rev-list", *words).decode().split())
        except git.GitFailed:
            if is_there(folder):
                raise
    for owner in (root / BOOKED).glob("*/"):
        with locked(owner / "lock"):
            rows = Ledger(owner).entered()
            Ledger(owner).remove({oid for oid, at in rows.items() if oid not in found and at < time.time() - younger})


def _let_go(folder: Path, younger: float) -> None:
    """Strike out what no ref leads to."""
    ledger = Ledger(folder)
    rows = ledger.entered()
    if not rows:
        return
    commits = git.run(folder, "rev-list", *reachable.EVERYTHING).decode().split()
    led_to = reachable.large_files(folder).keys() | set(commits)
    ledger.remove({name for name, at in rows.items() if name not in led_to and at < time.time() - younger})


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
