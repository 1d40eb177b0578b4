"""Routes that make and delete branches and tags."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.server import names
from registry.server.routes import bodies, receiving
from registry.server.routes.asking import note, writable
from registry.server.routes.declared import takes
from registry.server.routes.turns import in_turn
from registry.server.store import branching


@takes(bodies.Branch)
async def branch(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/branch/{name}: a new branch. 409 where the name is taken."""
    repo, _ = writable(request)
    body = await receiving.read(request, bodies.Branch)
    name = names.new_ref(request.path_params["revision"])
    start = names.revision(body.start or names.MAIN)
    await in_turn(repo, lambda: branching.branch(repo, name, repo.resolve(start)))
    return JSONResponse({})


async def delete_branch(request: Request) -> JSONResponse:
    """DELETE /api/{kind}/{repo}/branch/{name}; never main, nor what was said of releases."""
    repo, _ = writable(request)
    name = names.revision(request.path_params["revision"])
    await in_turn(repo, branching.delete_branch, repo, name)
    await note(request, "branch deleted", repo.name.url_path, branch=name)
    return JSONResponse({})


@takes(bodies.Tag)
async def tag(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/tag/{revision}: a new tag. 409 where the name is taken."""
    repo, user = writable(request)
    body = await receiving.read(request, bodies.Tag)
    revision = names.revision(request.path_params["revision"])

    def make() -> None:
        commit = repo.resolve(revision)  # that there is none is told first, as by the Hub
        branching.tag(repo, names.new_ref(body.tag), commit, body.message or "", user.name)

    await in_turn(repo, make)
    return JSONResponse({})


async def delete_tag(request: Request) -> JSONResponse:
    """DELETE /api/{kind}/{repo}/tag/{name}: declined for a tag that carries a release."""
    repo, _ = writable(request)
    name = names.revision(request.path_params["revision"])
    await in_turn(repo, branching.delete_tag, repo, name)
    await note(request, "tag deleted", repo.name.url_path, tag=name)
    return JSONResponse({})
