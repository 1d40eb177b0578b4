"""The application: which path is answered by which route, and how every refusal becomes a 4xx."""

from __future__ import annotations

import errno
import re
import shutil
from typing import Any, TextIO
from urllib.parse import unquote

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from registry.errors import InputError
from registry.server.access.limits import Limited
from registry.server.observe import Figures, Observed
from registry.server.problems import Problem
from registry.server.routes import content, ingest, large, openapi, proposing, reading, smart, writing
from registry.server.state import Hub

_HOST = re.compile(rb"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


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


class _Kind(_Segment):
    """The two kinds of repository."""

    regex = "models|datasets"


class Strict:
    """Routes by the path as it was sent, so that an encoded slash stays in its segment; refuses what is ambiguous.

    That is: what is no UTF-8; control characters (a CR and LF could end up in a header); a Host that is none (it comes
    back in addresses); two ways at once of saying how long the body is (a proxy in front may believe the other one).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        fault = _fault(scope)
        if fault is not None:
            return await Problem(400, fault, headers={"Connection": "close"}).response()(scope, receive, send)
        return await self._app({**scope, "path": scope["raw_path"].decode("ascii")}, receive, send)


def _fault(scope: Scope) -> str | None:
    """What is wrong with the head of a request."""
    try:
        plain = "".join(unquote(scope[part].decode("ascii"), errors="strict") for part in ("raw_path", "query_string"))
    except UnicodeError:
        return "the address is not UTF-8"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in plain):
        return "the address holds control characters"
    names = [name for name, _ in scope["headers"]]
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return "the Host header names no host"
    if b"content-length" in names and b"transfer-encoding" in names:
        return "both Content-Length and Transfer-Encoding"
    return None


def create_app(hub: Hub, figures: Figures | None = None, log: TextIO | None = None) -> Starlette:
    """The ASGI application over `hub`. State is on the disk only, so any number of processes may serve one folder.

    figures: shared by the workers of one server.  log: gets a line of JSON for each request.
    """
    register_url_convertor("segment", _Segment())
    register_url_convertor("rest", _Rest())
    register_url_convertor("kind", _Kind())
    app = Starlette(
        routes=[*_account(), *_api(), *_files()],
        middleware=[
            Middleware(Observed, figures=figures, log=log),
            Middleware(Limited, limits=hub.limits),
            Middleware(Strict),
        ],
        exception_handlers={
            Problem: _problem,
            InputError: _bad_input,
            ValidationError: _bad_shape,
            HTTPException: _http,
            ClientDisconnect: _gone,
            OSError: _system,
        },
    )
    app.router.redirect_slashes = False
    app.state.hub = hub
    app.state.figures = figures
    return app


def _account() -> list[Route]:
    return [
        Route("/healthz", _health),
        Route("/metrics", _metrics),
        Route("/openapi.json", _openapi),
        Route("/api/whoami-v2", writing.whoami),
        Route("/oauth/token", writing.exchange, methods=["POST"]),
        Route("/api/validate-yaml", writing.validate_yaml, methods=["POST"]),
        Route("/api/repos/create", writing.create, methods=["POST"]),
        Route("/api/repos/delete", writing.delete_repository, methods=["DELETE"]),
        Route("/lfs/object", large.put, methods=["PUT"]),
        Route("/lfs/object", large.get),
        Route("/lfs/part", large.put_part, methods=["PUT"]),
        Route("/lfs/complete", large.complete, methods=["POST"]),
        Route("/lfs/verify", large.verify, methods=["POST"]),
        Route("/xet/v1/xorbs/default/{hash}", ingest.xorb, methods=["POST"]),
        Route("/xet/v1/shards", ingest.shard, methods=["POST"]),
        Route("/xet/v1/chunks/default/{hash}", ingest.known_chunk),
    ]


def _api() -> list[Route]:
    repo = "/api/{kind:kind}/{owner:segment}/{name:segment}"
    at = "{revision:segment}"
    return [
        Route("/api/{kind:kind}", reading.listing),
        Route(repo, reading.info),
        Route(f"{repo}/revision/{at}", reading.info),
        Route(f"{repo}/tree/{at}", reading.tree),
        Route(f"{repo}/tree/{at}/{{path:rest}}", reading.tree),
        Route(f"{repo}/paths-info/{at}", reading.paths_info, methods=["POST"]),
        Route(f"{repo}/refs", reading.refs),
        Route(f"{repo}/commits/{at}", reading.commits),
        Route(f"{repo}/auth-check", writing.auth_check),
        Route(f"{repo}/auth-check/write", writing.auth_check),
        Route(f"{repo}/settings", writing.settings, methods=["PUT"]),
        Route(f"{repo}/xet-write-token/{at}", ingest.write_token),
        Route(f"{repo}/discussions", proposing.listing),
        Route(f"{repo}/discussions", proposing.create, methods=["POST"]),
        Route(f"{repo}/discussions/{{number}}", proposing.details),
        Route(f"{repo}/discussions/{{number}}/status", proposing.status, methods=["POST"]),
        Route(f"{repo}/discussions/{{number}}/merge", proposing.merge, methods=["POST"]),
        Route(f"{repo}/preupload/{at}", writing.preupload, methods=["POST"]),
        Route(f"{repo}/commit/{at}", writing.commit, methods=["POST"]),
        Route(f"{repo}/branch/{at}", writing.branch, methods=["POST"]),
        Route(f"{repo}/branch/{at}", writing.delete_branch, methods=["DELETE"]),
        Route(f"{repo}/tag/{at}", writing.tag, methods=["POST"]),
        Route(f"{repo}/tag/{at}", writing.delete_tag, methods=["DELETE"]),
    ]


def _files() -> list[Route]:
    routes = []
    for kind in ("/{kind:kind}", ""):
        repo = kind + "/{owner:segment}/{name:segment}"
        routes += [
            Route(f"{repo}/info/lfs/objects/batch", large.batch, methods=["POST"]),
            Route(f"{repo}/info/refs", smart.info_refs),
            Route(f"{repo}/git-upload-pack", smart.upload_pack, methods=["POST"]),
            Route(f"{repo}/resolve/{{revision:segment}}/{{path:rest}}", content.resolve),
            Route(f"{repo}/raw/{{revision:segment}}/{{path:rest}}", content.resolve),
        ]
    return routes


def _health(request: Request) -> JSONResponse:
    """GET /healthz: 200 while it serves."""
    return JSONResponse({"status": "ok"})


def _openapi(request: Request) -> JSONResponse:
    """GET /openapi.json: what the server answers, in the terms of the OpenAPI Specification."""
    return JSONResponse(openapi.document(route for route in request.app.routes if isinstance(route, Route)))


def _metrics(request: Request) -> PlainTextResponse:
    """GET /metrics, as Prometheus reads it. Keep it from the outside at the proxy."""
    figures = request.app.state.figures
    text = figures.render() if figures is not None else ""
    hub: Hub = request.app.state.hub
    free = shutil.disk_usage(hub.root).free
    text += f"glasshouse_hub_uploads_open {hub.uploads.open()}\nglasshouse_hub_disk_free_bytes {free}\n"
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _problem(request: Request, problem: Any) -> Response:
    return problem.response()  # type: ignore[no-any-return]


async def _bad_input(request: Request, problem: Any) -> Response:
    return Problem(400, problem.message).response()


async def _bad_shape(request: Request, problem: Any) -> Response:
    first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"])
    return Problem(400, f"{where or 'the body'}: {first['msg']}").response()


async def _http(request: Request, problem: Any) -> Response:
    return Problem(problem.status_code, f"{request.method} {request.url.path[:200]}: {problem.detail}").response()


async def _system(request: Request, problem: Any) -> Response:
    """507 for a full disk, which a client may try again later; any other fault of the system is one of the server."""
    if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise problem
    return Problem(507, "the server's disk is full", headers={"Retry-After": "60"}).response()


async def _gone(request: Request, problem: Any) -> Response:
    return Response(status_code=400)
