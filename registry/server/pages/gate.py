"""The page of a repository whose gate is shut for the reader, and the form that asks for access."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from registry.server.pages.sites import Site
from registry.server.problems import Problem
from registry.server.routes import asking
from registry.server.routes.turns import in_turn
from registry.server.store.gates import AccessGate


async def ask(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /{owner}/{name}/access: ask for the files, and come back to the repository's page."""
    user = asking.user(request)
    if user is None:
        raise Problem(403, "sign in first: /sign-in")
    repo = await run_in_threadpool(asking.repository, request)
    await in_turn(repo, AccessGate(repo).ask, user.name)
    return RedirectResponse(f"/{repo.name.url_path}", 303)
