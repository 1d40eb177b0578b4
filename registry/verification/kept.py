"""Releases kept on this machine: each is fetched at one commit, verified, and only then there.

Laws: a directory appears only after everything in it was verified; one that is there is verified anew each time it is
asked for. Nothing is mended in silence: what no longer verifies stays where it is, and an error says so.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.report import FailedReport
from registry.verification.remembered import Remembered
from registry.verification.request import Request

VARIABLE = "GLASSHOUSE_CACHE"
"""The environment variable that names where releases are kept."""


def store() -> Path:
    """Where releases are kept: GLASSHOUSE_CACHE, else `glasshouse` in the user's folder of caches."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glasshouse"


def place(endpoint: str, repository: str, commit: str) -> Path:
    """Where the release at `commit` is kept: by Hub, repository and commit, which never change what they name."""
    host = re.sub(r"[^A-Za-z0-9.-]+", "_", endpoint.partition("://")[2])
    return store() / "releases" / host / repository / commit


def keep(request: Request, reference: HubReference, into: Path | None, *, believe: bool) -> Path:
    """The directory of the release `reference`, verified as `request` asks: `into`, or its place in the store.

    believe: whether files that were not touched since they were hashed are those that they were.
    Raises FailedReport and UnknownReport where the report does not say PASS, and what HubClient raises.
    """
    hub = HubClient(request.endpoint)
    commit = hub.refs.resolve(reference.repository, reference.revision)
    root = into or place(hub.endpoint, reference.repository, commit)

    def accept(where: Path) -> None:
        tree = Remembered(where, root.with_name(f".{root.name}.measured.json"), believe=believe)
        request.report(tree, f"commit {commit}, all files read at it").require()
        with suppress(OSError):  # whoever may not write there hashes again
            tree.write()

    if not root.is_dir() or not any(root.iterdir()):
        hub.trees.download(reference.repository, commit, root, request.progress, accept=accept)
        return root
    try:
        accept(root)
    except FailedReport as problem:
        mend = f"remove {root}, and fetch it again; if it fails then too, do not use the release"
        raise FailedReport(problem.report, mend=mend) from None
    return root
