"""Routes of Xet uploads: what its clients send is put together to whole files, which are kept as all others.

They read over plain HTTP, for no answer offers Xet for reading.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.server.problems import Problem
from registry.server.routes import receiving
from registry.server.routes.asking import base_url, claimed, hub, writable
from registry.server.routes.declared import BYTES, takes
from registry.server.routes.turns import in_turn
from registry.server.store import xet
from registry.server.store.uploads import mark_of
from registry.server.store.xorbs import Xorbs, check_hash


def write_token(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/xet-write-token/{revision}: where and with what to send, for an hour. 404 without Xet."""
    here = hub(request)
    if not here.xet:
        raise Problem(404, "this server takes no uploads by Xet: set HF_HUB_DISABLE_XET=1")
    repo, user = writable(request)
    repository = f"{repo.name.kind}/{repo.name}"
    query = here.links.query(action="xet", repo=repository, token=user.token, mark=mark_of(user.name))
    token = base64.urlsafe_b64encode(query.encode()).decode()
    url, expires = f"{base_url(request)}/xet", dict(parse_qsl(query))["expires"]
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": expires}
    return JSONResponse({"casUrl": url, "accessToken": token, "exp": int(expires)}, headers=headers)


@takes(media=(BYTES,))
async def xorb(request: Request) -> JSONResponse:
    """POST /xet/v1/xorbs/default/{hash}: packed chunks, kept for the shard that will name them."""
    claims, name = _claims(request), check_hash(request.path_params["hash"])
    large = hub(request).large
    sent = Xorbs(large, claims["token"], claims["mark"])
    await run_in_threadpool(sent.check_room, claimed(request, claims).name.owner)
    with large.uploads.one(xet.MAX_XORB, claims["mark"]) as upload:
        await receiving.spool(request, upload)
        new = await run_in_threadpool(sent.keep, upload, name)
    return JSONResponse({"was_inserted": new})


@takes(media=(BYTES,))
async def shard(request: Request) -> JSONResponse:
    """POST /xet/v1/shards: which chunks make which files. They are put together, and must have their SHA-256."""
    claims = _claims(request)
    body = await receiving.read_bytes(request, xet.MAX_SHARD)
    sent = Xorbs(hub(request).large, claims["token"], claims["mark"])
    repo = claimed(request, claims)
    await in_turn(repo, sent.unpack, repo, body)
    return JSONResponse({"result": 1})


def known_chunk(request: Request) -> JSONResponse:
    """GET /xet/v1/chunks/default/{hash}: 404, for what one client sent does not help another."""
    raise Problem(404, "not told")


def _claims(request: Request) -> dict[str, str]:
    """What the Xet token of the request was signed for. Raises Problem 401."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        query = dict(parse_qsl(base64.b64decode(token, altchars=b"-_", validate=True).decode()))
        return dict(hub(request).links.claims(query, "xet"))
    except (binascii.Error, ValueError, Problem) as problem:
        raise Problem(401, "the Xet token is not valid, or no longer") from problem
