"""The application: which path is answered by which route, and how every refusal becomes a 4xx."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from registry.errors import InputError
from registry.server.access.limits import Shares
from registry.server.figures import Figures, told
from registry.server.problems import Problem
from registry.server.routes import (
    account,
    content,
    gating,
    histories,
    images,
    ingest,
    large,
    listing,
    openapi,
    people,
    proposing,
    reading,
    references,
    repositories,
    smart,
    unpacking,
    writing,
    xet_tokens,
)
from registry.server.routes.answers import declined
from registry.server.routes.asking import hub
from registry.server.routes.middleware import Limited, Observed, Strict
from registry.server.routes.mirroring import Mirrored
from registry.server.state import Hub
from registry.server.store import git, holdings

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where the disk has no more room, or this user's part of it."""
LITTLE = 1 << 20
"""Bytes of room with which a disk is full."""
MOVING_SECONDS = 5
"""How long a repository counts as one that changes, after it was changed."""
_MOVED = Problem(503, "the repository changes meanwhile: try again", headers={"Retry-After": "1"})
Pages = Callable[[Hub], Iterable[Route]]
"""What people look at, of a server."""


class _Segment(Convertor[str]):
    """One part of a path, which may hold an encoded slash: `refs%2Fpr%2F1`."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value)

    def to_string(self, value: str) -> str:
        return value


class _Rest(_Segment):
    """All further parts of a path."""

    regex = ".+"


class _Asked(_Segment):
    """What is asked of a repository, where its name has no owner."""

    regex = "revision|tree|paths-info|commits|preupload|commit|branch|tag|discussions|settings|auth-check"


class _Kind(_Segment):
    """The two kinds of repository."""

    regex = "models|datasets"


def know_parts() -> None:
    """Make known what a route's path may hold: a segment, a rest, a kind."""
    register_url_convertor("segment", _Segment())
    register_url_convertor("rest", _Rest())
    register_url_convertor("kind", _Kind())
    register_url_convertor("asked", _Asked())


def create_app(
    served: Hub, figures: Figures | None = None, log: TextIO | None = None, pages: Pages = lambda served: ()
) -> Starlette:
    """The ASGI application over one Hub.

    figures: shared by the workers of one server.  log: gets a line of JSON for each request.  pages: what else is
    answered, after all that the Hub's protocol has.
    """
    know_parts()
    app = Starlette(
        routes=[*_account(), *_api(), *_files(), *pages(served)],
        middleware=[
            Middleware(Observed, figures=figures, log=log),
            *_browsers(served.origins),
            Middleware(Limited, limits=served.limits),
            Middleware(Strict),
            Middleware(Mirrored, mirror=served.mirror),
        ],
        exception_handlers={
            Problem: _problem,
            InputError: _bad_input,
            ValidationError: _bad_shape,
            HTTPException: _http,
            ClientDisconnect: _gone,
            OSError: _system,
            git.GitFailed: _git,
        },
    )
    app.router.redirect_slashes = False
    app.state.hub = served
    app.state.figures = figures
    limits = served.limits
    app.state.memory = Shares(limits.body_memory, limits.address_memory)
    app.state.clones = Shares(limits.clones, limits.address_clones)
    return app


def _browsers(origins: Sequence[str]) -> list[Middleware]:
    """What lets pages of other origins ask, with a token that they have themselves; none, where none is named."""
    if not origins:
        return []
    told = ["ETag", "Link", "Content-Range", "Accept-Ranges", "Retry-After", "X-Repo-Commit", "X-Linked-Etag",
            "X-Linked-Size", "X-Error-Code", "X-Error-Message", "X-Request-Id", "X-Mirror-Of", "Age"]  # fmt: skip
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
    return [
        Middleware(
            CORSMiddleware, allow_origins=list(origins), expose_headers=told, allow_methods=methods, allow_headers=["*"]
        )
    ]


def _account() -> list[Route]:
    return [
        Route("/healthz", _health),
        Route("/metrics", _metrics),
        Route("/openapi.json", _openapi),
        Route("/api/whoami-v2", account.whoami),
        Route("/api/users/{user:segment}/overview", people.user_overview),
        Route("/api/organizations/{organisation:segment}/overview", people.overview),
        Route("/api/organizations/{organisation:segment}/members", people.members),
        Route("/api/organizations/{organisation:segment}", people.remove, methods=["DELETE"]),
        Route("/oauth/token", account.exchange, methods=["POST"]),
        Route("/api/validate-yaml", account.validate_yaml, methods=["POST"]),
        Route("/api/repos/create", repositories.create, methods=["POST"]),
        Route("/api/repos/delete", repositories.delete, methods=["DELETE"]),
        Route("/v2/", images.version),
        Route("/v2/{owner:segment}/{name:segment}/manifests/{tag:segment}", images.manifest),
        Route("/v2/{owner:segment}/{name:segment}/blobs/{digest:segment}", images.blob),
        Route("/api/repos/move", repositories.move, methods=["POST"]),
        Route("/lfs/object", large.put, methods=["PUT"]),
        Route("/lfs/object", large.get),
        Route("/lfs/part", large.put_part, methods=["PUT"]),
        Route("/lfs/complete", large.complete, methods=["POST"]),
        Route("/lfs/verify", large.verify, methods=["POST"]),
        Route("/xet/v1/xorbs/default/{hash}", ingest.xorb, methods=["POST"]),
        Route("/xet/v1/shards", ingest.shard, methods=["POST"]),
        Route("/xet/v1/chunks/default/{hash}", ingest.known_chunk),
        Route("/xet/v1/reconstructions/{hash}", unpacking.reconstruction),
        Route("/xet/v1/fetch", unpacking.fetch),
    ]


def _api() -> list[Route]:
    repo = "/api/{kind:kind}/{owner:segment}/{name:segment}"
    at = "{revision:segment}"
    return [
        Route("/api/{kind:kind}", listing.search),
        Route(repo, reading.info),
        Route(f"{repo}/revision/{at}", reading.info),
        Route(f"{repo}/tree/{at}", reading.tree),
        Route(f"{repo}/tree/{at}/{{path:rest}}", reading.tree),
        Route(f"{repo}/paths-info/{at}", reading.paths_info, methods=["POST"]),
        Route(f"{repo}/refs", reading.refs),
        Route(f"{repo}/commits/{at}", reading.commits),
        Route(f"{repo}/auth-check", repositories.auth_check),
        Route(f"{repo}/auth-check/write", repositories.auth_check),
        Route(f"{repo}/user-access-request/handle", gating.decide, methods=["POST"]),
        Route(f"{repo}/user-access-request/grant", gating.grant, methods=["POST"]),
        Route(f"{repo}/user-access-request/{{status}}", gating.listing),
        Route(f"{repo}/settings", repositories.settings, methods=["PUT"]),
        Route(f"{repo}/duplicate", repositories.duplicate, methods=["POST"]),
        Route(f"{repo}/super-squash/{at}", histories.squash, methods=["POST"]),
        Route(f"{repo}/lfs-files", histories.large_files),
        Route(f"{repo}/lfs-files/batch", histories.delete_large_files, methods=["POST"]),
        Route(f"{repo}/lfs-files/duplicate", histories.copy_large_files, methods=["POST"]),
        Route(f"{repo}/xet-write-token/{at}", xet_tokens.write_token),
        Route(f"{repo}/xet-read-token/{at}", xet_tokens.read_token),
        Route(f"{repo}/discussions", proposing.listing),
        Route(f"{repo}/discussions", proposing.create, methods=["POST"]),
        Route(f"{repo}/discussions/{{number}}", proposing.details),
        Route(f"{repo}/discussions/{{number}}/status", proposing.status, methods=["POST"]),
        Route(f"{repo}/discussions/{{number}}/merge", proposing.merge, methods=["POST"]),
        Route(f"{repo}/preupload/{at}", writing.preupload, methods=["POST"]),
        Route(f"{repo}/commit/{at}", writing.commit, methods=["POST"]),
        Route(f"{repo}/branch/{at}", references.branch, methods=["POST"]),
        Route(f"{repo}/branch/{at}", references.delete_branch, methods=["DELETE"]),
        Route(f"{repo}/tag/{at}", references.tag, methods=["POST"]),
        Route(f"{repo}/tag/{at}", references.delete_tag, methods=["DELETE"]),
        Route("/api/{kind:kind}/{name:segment}", repositories.nameless, methods=["GET", "PUT", "POST"]),
        Route(
            "/api/{kind:kind}/{name:segment}/{asked:asked}/{rest:rest}", repositories.nameless, methods=["GET", "POST"]
        ),
    ]


def _files() -> list[Route]:
    routes = []
    for kind in ("/{kind:kind}", ""):
        repo = kind + "/{owner:segment}/{name:segment}"
        routes += [
            Route(f"{repo}/info/lfs/objects/batch", large.batch, methods=["POST"]),
            Route(f"{repo}/ask-access", gating.ask, methods=["POST"]),
            Route(f"{repo}/info/refs", smart.info_refs),
            Route(f"{repo}/git-upload-pack", smart.upload_pack, methods=["POST"]),
            Route(f"{repo}/resolve/{{revision:segment}}/{{path:rest}}", content.resolve),
            Route(f"{repo}/raw/{{revision:segment}}/{{path:rest}}", content.raw),
        ]
    return [*routes, Route("/{name:segment}/resolve/{revision:segment}/{path:rest}", repositories.nameless)]


async def _health(request: Request) -> JSONResponse:
    """GET /healthz: 200 while it serves. It waits for no thread."""
    return JSONResponse({"status": "ok"})


def _openapi(request: Request) -> JSONResponse:
    """GET /openapi.json: what the server answers, in the terms of the OpenAPI Specification."""
    routes = (route for route in request.app.routes if isinstance(route, Route) and route.include_in_schema)
    return JSONResponse(openapi.document(routes))


def _metrics(request: Request) -> PlainTextResponse:
    """GET /metrics, as Prometheus reads it. Keep it from the outside at the proxy."""
    figures, here = request.app.state.figures, hub(request)
    counts, sizes = Counter[str](), Counter[str]()
    for each in holdings.each(here.repositories):
        counts[f'{{namespace="{each.name.owner}"}}'] += 1
        sizes[f'{{namespace="{each.name.owner}"}}'] += each.size
    lines = [
        *told("uploads_open", "gauge", "Uploads under way.", {"": here.large.uploads.open()}),
        *told("disk_free_bytes", "gauge", "Bytes that the disk has room for.", {"": here.large.quota.free}),
        *told("repositories", "gauge", "Repositories of each namespace.", counts),
        *told("held_bytes", "gauge", "Bytes that each namespace holds, as a quota counts them.", sizes),
    ]
    text = (figures.render() if figures is not None else "") + "\n".join(lines) + "\n"
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _problem(request: Request, problem: Any) -> Response:
    return declined(problem, plain=request.scope.get("endpoint") in smart.ROUTES)


async def _bad_input(request: Request, problem: Any) -> Response:
    return declined(Problem(400, problem.message))


async def _bad_shape(request: Request, problem: Any) -> Response:
    first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"])
    return declined(Problem(400, f"{where or 'the body'}: {first['msg']}"))


async def _http(request: Request, problem: Any) -> Response:
    return declined(Problem(problem.status_code, f"{request.method} {request.url.path[:200]}: {problem.detail}"))


async def _system(request: Request, problem: Any) -> Response:
    """507 for a full disk, 503 for a repository that has gone, which a client may try again; else a fault of ours."""
    name = problem.filename if problem.errno == errno.ENOENT else None
    if isinstance(name, str) and hub(request).repositories in Path(name).parents:
        return declined(_MOVED)
    if problem.errno not in FULL:
        raise problem
    return declined(Problem(507, "the server's disk is full", headers={"Retry-After": "60"}))


async def _git(request: Request, problem: Any) -> Response:
    """The same, where it was git that met it: it tells so in several ways, and sometimes not at all."""
    disk = os.statvfs(hub(request).root)
    full = disk.f_bavail * disk.f_frsize < LITTLE or (disk.f_files > 0 and disk.f_favail == 0)
    if full or any(words in problem.words for words in (*map(os.strerror, FULL), "Out of diskspace")):
        return await _system(request, OSError(errno.ENOSPC, problem.words))
    if _changes(problem.folder):
        print(problem, file=sys.stderr)
        return declined(_MOVED)
    raise problem


def _changes(folder: Path) -> bool:
    """Whether a repository was moved, deleted or made anew under who reads it. Git has many words for what it lacks."""
    try:
        return folder.stat().st_ctime > time.time() - MOVING_SECONDS
    except FileNotFoundError:
        return True


async def _gone(request: Request, problem: Any) -> Response:
    return Response(status_code=400)
