"""Routes that make, copy, move, close, open and delete a repository."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from registry.server import names
from registry.server.access import rights
from registry.server.access.tokens import Role
from registry.server.problems import REPO_NOT_FOUND, Problem
from registry.server.routes import bodies, receiving
from registry.server.routes.asking import base_url, hub, member, note, opened, own, writable
from registry.server.routes.declared import takes
from registry.server.routes.turns import in_turn
from registry.server.store.gates import AccessGate


@takes(bodies.CreateRepository)
async def create(request: Request) -> JSONResponse:
    """POST /api/repos/create. 409, with the URL, where it exists."""
    user = member(request)
    body = await receiving.read(request, bodies.CreateRepository)
    name = names.new_repo_name(f"{body.type or 'model'}s", body.organization or user.name, body.name)
    answer: dict[str, object] = {"url": f"{base_url(request)}/{name.url_path}", "name": str(name)}
    if not await run_in_threadpool(hub(request).create, name, user, private=body.is_private):
        raise Problem(409, "You already created this repo", extra=answer)
    await note(request, "repository created", name.url_path, private=body.is_private)
    return JSONResponse(answer)


@takes(bodies.MoveRepository)
async def move(request: Request) -> JSONResponse:
    """POST /api/repos/move: another name. The old one leads to it, and is not given again. 409 where it is taken."""
    user = member(request)
    body = await receiving.read(request, bodies.MoveRepository)
    kind = f"{body.type or 'model'}s"
    repo = own(await run_in_threadpool(hub(request).readable, names.RepoName(kind, *_two(body.source)), user))
    new = names.new_repo_name(kind, *_two(body.target))
    if not await in_turn(repo, hub(request).move, repo, user, new):
        raise Problem(409, f"A {kind.removesuffix('s')} repository called {new} already exists")
    await note(request, "repository moved", repo.name.url_path, to=new.url_path)
    return JSONResponse({"url": f"{base_url(request)}/{new.url_path}"})


@takes(bodies.DuplicateRepository)
async def duplicate(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/duplicate: a new repository, with its branches, tags and large files. 409 as `create`."""
    user = member(request)
    repo = own(await run_in_threadpool(opened, request))
    body = await receiving.read(request, bodies.DuplicateRepository)
    new = names.new_repo_name(repo.name.kind, *_two(body.repository))
    told = {"public": False, "private": True}.get(body.visibility or "", body.private)
    private = repo.private if told is None else told
    answer: dict[str, object] = {"url": f"{base_url(request)}/{new.url_path}", "name": str(new)}
    if not await in_turn(repo, partial(hub(request).duplicate, private=private), repo, user, new):
        raise Problem(409, "You already created this repo", extra=answer)
    await note(request, "repository copied", repo.name.url_path, to=new.url_path, private=private)
    return JSONResponse(answer)


def _two(name: str) -> tuple[str, str]:
    """(owner, name). Raises Problem 400."""
    owner, _, short = name.partition("/")
    if not owner or not short or "/" in short:
        raise Problem(400, f"{name[:100]!r} is not OWNER/NAME")
    return owner, short


@takes(bodies.DeleteRepository)
async def delete(request: Request) -> JSONResponse:
    """DELETE /api/repos/delete: for an owner; for an admin, where it was released. A tombstone keeps its name."""
    user = member(request)
    body = await receiving.read(request, bodies.DeleteRepository)
    name = names.RepoName(f"{body.type or 'model'}s", body.organization or user.name, body.name)
    repo = own(await run_in_threadpool(hub(request).readable, name, user))
    rights.check_delete(user, repo)
    released = user.role is Role.ADMIN
    await in_turn(repo, partial(repo.delete, released=released), hub(request).repositories, user.name)
    await note(request, "repository deleted", repo.name.url_path)
    return JSONResponse({})


@takes(bodies.Settings)
async def settings(request: Request) -> JSONResponse:
    """PUT /api/{kind}/{repo}/settings: private or public, and whether there is a gate before its files."""
    repo, _ = writable(request)
    body = await receiving.read(request, bodies.Settings)
    if body.visibility is None and body.private is None and body.gated is None:
        raise Problem(400, "nothing to set: visibility is public or private, gated is false, auto or manual")
    if body.gated is not None:
        await in_turn(repo, AccessGate(repo).set, body.gated or None)
    private = body.visibility == "private" if body.visibility is not None else body.private
    if private is not None:
        await in_turn(repo, repo.set_private, private)
    await note(request, "settings changed", repo.name.url_path, private=repo.private, gated=repo.gated or False)
    return JSONResponse({"private": repo.private, "gated": repo.gated or False})


def nameless(request: Request) -> Response:
    """A repository without an owner, such as `gpt2` on the public Hub: 404, in the way that clients understand.

    307 to its whole name, where a Hub is mirrored that knows it, and nobody here has that.
    """
    kind, short, mirror = request.path_params.get("kind", "models"), request.path_params["name"], hub(request).mirror
    whole = mirror.full_name(kind, short) if mirror is not None and request.method in ("GET", "HEAD") else None
    if whole is None or mirror is None or not mirror.is_for(names.RepoName(kind, *_two(whole))):
        raise Problem(404, f"Repository not found: {short[:100]} has no owner", REPO_NOT_FOUND)
    path = request.url.path.replace(f"/{short}", f"/{quote(whole)}", 1)
    return RedirectResponse(f"{path}?{request.url.query}" if request.url.query else path, 307)


def auth_check(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/auth-check[/write]."""
    opened(request)
    if request.url.path.endswith("/write"):
        writable(request)
    return JSONResponse({})
