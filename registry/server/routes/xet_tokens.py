"""Routes that give out the tokens of Xet: each is for one repository, to send or to read, for an hour."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.server.problems import Problem
from registry.server.routes.asking import base_url, hub, opened, own, token_id, writable
from registry.server.store.repository import Repository
from registry.server.store.uploads import mark_of

SEND = "xet"
READ = "xet-read"


def write_token(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/xet-write-token/{revision}: where and with what to send, for an hour. 404 without Xet."""
    repo, user = writable(request)
    return _token(request, repo, SEND, mark=mark_of(user.name))


def read_token(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/xet-read-token/{revision}: where and with what to read, for an hour. 404 without Xet."""
    return _token(request, own(opened(request)), READ)


def offered(request: Request, repo: Repository) -> bool:
    """Whether the large files of `repo` can be had by Xet: not those of a copy, which may not be here yet."""
    return hub(request).xet and repo.upstream is None


def claims_of(request: Request, action: str) -> Mapping[str, str]:
    """What the Xet token of the request was signed for. Raises Problem 401 unless that is `action`."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        claims = base64.b64decode(token, altchars=b"-_", validate=True).decode()
        query = dict(parse_qsl(claims, keep_blank_values=True))
        return hub(request).links.claims(query, action)
    except (binascii.Error, ValueError, Problem) as problem:
        raise Problem(401, "the Xet token is not valid, or no longer") from problem


def _token(request: Request, repo: Repository, action: str, **claims: str) -> JSONResponse:
    here = hub(request)
    if not here.xet:
        raise Problem(404, "this server does not speak Xet: set HF_HUB_DISABLE_XET=1")
    whose = {"repo": f"{repo.name.kind}/{repo.name}", "token": token_id(request)}
    query = here.links.query(action=action, **whose, **claims)
    token = base64.urlsafe_b64encode(query.encode()).decode()
    url, expires = f"{base_url(request)}/xet", dict(parse_qsl(query))["expires"]
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": expires}
    return JSONResponse({"casUrl": url, "accessToken": token, "exp": int(expires)}, headers=headers)
