"""The form that asks for access to a repository with a gate, and the page on which those who may write answer."""

from __future__ import annotations

import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from registry.server.pages.answered import Page
from registry.server.pages.sites import Site
from registry.server.problems import Problem
from registry.server.routes import asking
from registry.server.routes.turns import in_turn
from registry.server.store.gates import AccessAsked, AccessGate, Standing
from registry.server.store.repository import Repository

SHOWN = 200
"""Rows of those who wait, and of those who do not."""
ANSWERS: tuple[Standing, ...] = ("accepted", "rejected")


async def ask(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /{owner}/{name}/access: ask for the files, and come back to the repository's page."""
    user = asking.user(request)
    if user is None:
        raise Problem(403, "sign in first: /sign-in")
    repo = await run_in_threadpool(asking.repository, request)
    await in_turn(repo, AccessGate(repo).ask, user.name)
    return RedirectResponse(f"/{repo.name.url_path}", 303)


def listed(site: Site, request: Request) -> Page | Response:
    """GET /{owner}/{name}/requests: who asked, for those who may write. 404 where there is no gate."""
    if asking.user(request) is None:
        return RedirectResponse(f"/sign-in?to={request.url.path}", 303)
    repo = _ruled(request)
    found = AccessGate(repo).asked()
    pending = [_row(each) for each in found if each.status == "pending"]
    decided = [_row(each) for each in sorted(found, key=lambda each: -each.at) if each.status != "pending"]
    facts = {"id": str(repo.name), "waiting": len(pending), "pending": pending[:SHOWN], "decided": decided[:SHOWN]}
    return Page("requests.html", facts, {"title": "Who asks for access", "address": f"/{repo.name.url_path}"})


async def decide(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /{owner}/{name}/requests: let somebody in, or not; for those who may write."""
    repo = await run_in_threadpool(_ruled, request)
    status = next((each for each in ANSWERS if fields.get("status") == each), None)
    if status is None:
        raise Problem(400, "accept, or reject")
    user = fields.get("user", "")
    await in_turn(repo, AccessGate(repo).decide, user, status)
    await asking.note(request, f"access {status}", repo.name.url_path, user=user)
    return RedirectResponse(f"/{repo.name.url_path}/requests", 303)


def _ruled(request: Request) -> Repository:
    repo, _ = asking.writable(request)
    if repo.gated is None:
        raise Problem(404, f"{repo.name} has no gate")
    return repo


def _row(each: AccessAsked) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(each.at))
    return {"user": each.user, "status": each.status, "at": at}
