"""Releases kept on this machine: each is fetched at one commit, verified, and only then there.

Laws: a directory appears only after everything in it was verified; one that is there is verified anew each time it is
asked for. Nothing is mended in silence: what no longer verifies stays where it is, and an error says so.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from registry.digest import BOTH, Progress
from registry.errors import VerificationError
from registry.files import cache_folder
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.manifest import Entry, Manifest
from registry.records.release_record import Companion
from registry.report import FailedReport
from registry.variables import CACHE
from registry.verification.companions import PassedOver, check_listed
from registry.verification.fetch import foreseen, read_at
from registry.verification.remembered import Remembered
from registry.verification.request import Request


def store() -> Path:
    """Where releases are kept: GLASSHOUSE_CACHE, else `glasshouse` in the user's folder of caches."""
    if chosen := os.environ.get(CACHE):
        return Path(chosen).expanduser()
    return cache_folder()


def place(endpoint: str, repository: str, commit: str) -> Path:
    """Where the release at `commit` is kept: by Hub, repository and commit, which never change what they name."""
    host = re.sub(r"[^A-Za-z0-9.-]+", "_", endpoint.partition("://")[2])
    return store() / "releases" / host / repository / commit


@dataclass
class Keeper:
    """Keeps what it is asked for of one Hub, each in its place in the store, or where it is told."""

    hub: HubClient
    """The Hub."""
    believe: bool = False
    """Whether files that were not touched since they were hashed are taken to have the same bytes."""
    wanted: str | None = None
    """The companion to keep beside a release, `owner/name` or `datasets/owner/name`; the others are passed over."""
    progress: Progress | None = None
    """Called with the number of bytes just done."""
    companion: Path | None = None
    """Where the companion is kept, once the release announced it."""

    def release(self, reference: HubReference, request: Request, into: Path | None) -> Path:
        """The directory of a release, verified as `request` asks: `into`, or its place in the store.

        Raises FailedReport and UnknownReport where the report does not say PASS, and what HubClient raises.
        """
        commit = self.hub.refs.resolve(reference.repository, reference.revision)
        root = into or place(self.hub.endpoint, reference.repository, commit)

        def accept(where: Path, came: Manifest | None = None) -> None:
            tree = Remembered(where, _note(root), believe=self.believe)
            request.report(tree, read_at(reference, commit)).require()
            tree.write()

        if not _is_there(root):
            admit = foreseen(self.hub, reference, commit)
            self.hub.trees.download(reference.repository, commit, root, self.progress, accept=accept, admit=admit)
            return root
        try:
            accept(root)
        except FailedReport as problem:
            kept = f"{root} and {self.companion}" if self.companion else str(root)
            mend = f"remove {kept}, and fetch again; if it fails then too, do not use the release"
            raise FailedReport(problem.report, mend=mend) from None
        return root

    def __call__(self, companion: Companion, tag: str) -> Manifest:
        """What is kept of `companion`, hashed: a `registry.verification.companions.Measure`."""
        if companion.repo != self.wanted:
            raise PassedOver
        commit = self.hub.refs.resolve(companion.repo, tag)
        self.companion = root = place(self.hub.endpoint, companion.repo, commit)
        if _is_there(root):
            found = _measured(Remembered(root, _note(root), believe=self.believe), self.progress)
        else:
            accept, admit = partial(_compare, companion), partial(check_listed, companion)
            found = self.hub.trees.download(companion.repo, commit, root, self.progress, accept=accept, admit=admit)
        return found


def _is_there(root: Path) -> bool:
    return root.is_dir() and any(root.iterdir())


def _note(root: Path) -> Path:
    """Where it is noted what was measured of the files below `root`."""
    return root.with_name(f".{root.name}.measured.json")


def _measured(tree: Remembered, progress: Progress | None) -> Manifest:
    files = tree.files()
    digests = tree.digests([(path, BOTH) for path, _ in files], progress)
    tree.write()
    rows = zip(files, digests, strict=True)
    return Manifest(tuple(Entry(path, size, found.sha256 or "", found.blake3) for (path, size), found in rows))


def _compare(companion: Companion, where: Path, came: Manifest) -> None:
    if came.sha256 != companion.content:
        raise VerificationError(
            f"its {len(came.entries)} files are sha256:{came.sha256}, signed as sha256:{companion.content}",
            mend="do not use it; tell the maintainer",
        )
