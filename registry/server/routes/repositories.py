"""Routes that make, close, open and delete a repository."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from registry.server import names
from registry.server.access import rights
from registry.server.problems import REPO_NOT_FOUND, Problem
from registry.server.routes import bodies, receiving
from registry.server.routes.asking import base_url, hub, member, repository, writable
from registry.server.routes.declared import takes
from registry.server.routes.turns import in_turn


@takes(bodies.CreateRepository)
async def create(request: Request) -> JSONResponse:
    """POST /api/repos/create. 409, with the URL, where it exists."""
    user = member(request)
    body = await receiving.read(request, bodies.CreateRepository)
    name = names.new_repo_name(f"{body.type or 'model'}s", body.organization or user.name, body.name)
    answer: dict[str, object] = {"url": f"{base_url(request)}/{name.url_path}", "name": str(name)}
    if not await run_in_threadpool(hub(request).create, name, user, private=body.is_private):
        raise Problem(409, "You already created this repo", extra=answer)
    return JSONResponse(answer)


@takes(bodies.DeleteRepository)
async def delete(request: Request) -> JSONResponse:
    """DELETE /api/repos/delete: for an admin. A tombstone keeps its name."""
    user = member(request)
    body = await receiving.read(request, bodies.DeleteRepository)
    name = names.RepoName(f"{body.type or 'model'}s", body.organization or user.name, body.name)
    repo = await run_in_threadpool(hub(request).readable, name, user)
    rights.check_delete(user)
    await in_turn(repo, repo.delete, hub(request).repositories, user.name)
    return JSONResponse({})


@takes(bodies.Settings)
async def settings(request: Request) -> JSONResponse:
    """PUT /api/{kind}/{repo}/settings: private or public. 400 for gates: who may read is said by tokens."""
    repo, _ = writable(request)
    body = await receiving.read(request, bodies.Settings)
    if body.gated:
        raise Problem(400, "this server has no gated repositories: make it private, and give tokens to its readers")
    if body.visibility is None and body.private is None and body.gated is None:
        raise Problem(400, "nothing to set: visibility is public or private")
    private = body.visibility == "private" if body.visibility is not None else body.private
    if private is not None:
        await in_turn(repo, repo.set_private, private)
    return JSONResponse({"private": repo.private, "gated": False})


def nameless(request: Request) -> Response:
    """A repository without an owner, such as `gpt2` on the public Hub: 404, in the way that clients understand."""
    raise Problem(404, f"Repository not found: {request.path_params['name'][:100]} has no owner", REPO_NOT_FOUND)


def auth_check(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/auth-check[/write]."""
    repository(request)
    if request.url.path.endswith("/write"):
        writable(request)
    return JSONResponse({})
