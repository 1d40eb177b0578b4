"""Routes of gates: who asks for the files of a repository, and who is let in."""

from __future__ import annotations

import time
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.errors import InputError
from registry.server.problems import Problem
from registry.server.routes import bodies, paging, receiving
from registry.server.routes.asking import base_url, hub, member, note, repository, writable
from registry.server.routes.declared import takes
from registry.server.routes.paging import NUMBER
from registry.server.routes.turns import in_turn
from registry.server.store.gates import AccessGate


async def ask(request: Request) -> JSONResponse:
    """POST /{repo}/ask-access: ask for the files of a repository with a gate. Who asks is told what became of it."""
    user = member(request)
    repo = await run_in_threadpool(repository, request)
    return JSONResponse({"status": await in_turn(repo, AccessGate(repo).ask, user.name)})


@takes(query={"cursor": NUMBER, "limit": NUMBER})
def listing(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/user-access-request/{status}: who asked, for those who may write. 400 without a gate."""
    repo, _ = writable(request)
    status = request.path_params["status"]
    if repo.gated is None or status not in ("pending", "accepted", "rejected"):
        raise Problem(400, f"{repo.name} has no gate, or no requests are {status[:40]}")
    found = AccessGate(repo).asked(status)
    url = f"{base_url(request)}/api/{repo.name.kind}/{repo.name}/user-access-request/{status}"
    start, end, more = paging.page(request, len(found), url)
    rows = [
        {
            "requestId": each.request_id,
            "user": {"user": each.user, "fullname": each.user},
            "status": each.status,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(each.at)),
        }
        for each in found[start:end]
    ]
    return JSONResponse(rows, headers=more)


@takes(bodies.DecideAccess)
async def decide(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/user-access-request/handle: accept, reject, or let wait."""
    repo, _ = writable(request)
    body = await receiving.read(request, bodies.DecideAccess)
    known = {each.request_id: each.user for each in AccessGate(repo).asked()}
    user = body.user or known.get(body.request_id or "")
    if user is None:
        raise Problem(404, "there is no such request")
    await in_turn(repo, AccessGate(repo).decide, user, body.status, body.reason)
    await note(request, f"access {body.status}", repo.name.url_path, user=user)
    return JSONResponse({})


@takes(bodies.GrantAccess)
async def grant(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/user-access-request/grant: let in somebody who has not asked. 404 for nobody known."""
    repo, _ = writable(request)
    body = await receiving.read(request, bodies.GrantAccess)
    try:
        known = hub(request).accounts.people.read().user(body.user) is not None
    except InputError as problem:
        raise Problem(400, problem.message) from problem
    if not known:
        raise Problem(404, f"nobody here is called {body.user[:100]}")
    await in_turn(repo, partial(AccessGate(repo).decide, granted=True), body.user, "accepted")
    await note(request, "access granted", repo.name.url_path, user=body.user)
    return JSONResponse({})
