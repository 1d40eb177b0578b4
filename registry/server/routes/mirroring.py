"""Before a repository is read that is not here: have the mirror copy it, or make its copy fresh.

It waits outside of the threads that answer readers, so a slow upstream keeps nobody else waiting.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from registry.server.names import RESERVED, RepoName
from registry.server.problems import Problem, busy
from registry.server.routes.answers import declined
from registry.server.store.mirror import Mirror

AT_ONCE = 8
"""Repositories that one worker asks upstream for at once."""
MAX_WAITING = 64
PATIENCE = 25.0
"""Seconds that a request waits; the copy is made all the same."""
_ASKED = re.compile(
    r"/(?:api/|v2/(?=[^/]+/[^/]+/(?:manifests|blobs)/))?(?:(models|datasets)/)?([^/]+)/([^/]+?)(?:\.git)?"
    r"(?:/(?:revision|tree|paths-info|commits|resolve|raw|blob)/([^/]+))?(?:/.*)?"
)
_READ_BY_POST = ("/git-upload-pack", "/info/lfs/objects/batch")


class Mirrored:
    """Has each repository that is asked for copied first. mirror: None for a server without."""

    def __init__(self, app: ASGIApp, mirror: Mirror | None) -> None:
        self._app = app
        self._mirror = mirror
        self._waiting = 0
        self._threads = ThreadPoolExecutor(AT_ONCE, "mirror")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._mirror is not None and scope["type"] == "http" and (asked := asked_for(scope)) is not None:
            try:
                await self._refresh(self._mirror, *asked)
            except Problem as problem:
                if problem.status != 404:  # what is nowhere, the route itself says, as of any name
                    return await declined(problem)(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _refresh(self, mirror: Mirror, name: RepoName, revision: str | None) -> None:
        if not mirror.is_for(name):
            return
        if self._waiting >= MAX_WAITING:
            raise busy("the mirror")
        self._waiting += 1
        work = asyncio.get_running_loop().run_in_executor(self._threads, mirror.refresh, name, revision)
        work.add_done_callback(self._done)
        try:
            await asyncio.wait_for(asyncio.shield(work), PATIENCE)
        except TimeoutError:
            raise busy(f"the upstream of {name}") from None

    def _done(self, work: asyncio.Future[None]) -> None:
        self._waiting -= 1
        work.cancelled() or work.exception()  # taken note of, for the request may have gone


def asked_for(scope: Scope) -> tuple[RepoName, str | None] | None:
    """(the repository, the revision) that a request reads; None for one that reads none."""
    path: str = scope["path"]
    if scope["method"] == "POST" and not (path.endswith(_READ_BY_POST) or "/paths-info/" in path):
        return None
    found = _ASKED.fullmatch(path) if scope["method"] in ("GET", "HEAD", "POST") else None
    if found is None or (found[1] is None and (found[2].lower() in RESERVED or path.startswith("/api/"))):
        return None
    try:
        name = RepoName(found[1] or "models", unquote(found[2]), unquote(found[3]))
    except Problem:
        return None
    return name, found[4] and unquote(found[4])
