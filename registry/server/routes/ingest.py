"""Routes of Xet uploads: what its clients send is put together to whole files, which are kept as all others."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.server.problems import Problem
from registry.server.routes import receiving
from registry.server.routes.asking import claimed, hub
from registry.server.routes.declared import BYTES, takes
from registry.server.routes.turns import in_turn
from registry.server.routes.xet_tokens import SEND, claims_of
from registry.server.store import xet
from registry.server.store.xorbs import Xorbs, check_hash


@takes(media=(BYTES,))
async def xorb(request: Request) -> JSONResponse:
    """POST /xet/v1/xorbs/default/{hash}: packed chunks, kept for the shard that will name them."""
    claims, name = claims_of(request, SEND), check_hash(request.path_params["hash"])
    large = hub(request).large
    sent = Xorbs(large, claims["token"], claims["mark"])
    await run_in_threadpool(sent.check_room, claimed(request, claims, writes=True).name.owner)
    with large.uploads.one(xet.MAX_XORB, claims["mark"]) as upload:
        await receiving.spool(request, upload)
        new = await run_in_threadpool(sent.keep, upload, name)
    return JSONResponse({"was_inserted": new})


@takes(media=(BYTES,))
async def shard(request: Request) -> JSONResponse:
    """POST /xet/v1/shards: which chunks make which files. They are put together, and must have their SHA-256."""
    claims = claims_of(request, SEND)
    repo = claimed(request, claims, writes=True)
    body = await receiving.read_bytes(request, xet.MAX_SHARD)
    sent = Xorbs(hub(request).large, claims["token"], claims["mark"])
    await in_turn(repo, sent.unpack, repo, body)
    return JSONResponse({"result": 1})


def known_chunk(request: Request) -> JSONResponse:
    """GET /xet/v1/chunks/default/{hash}: 404, for what one client sent does not help another."""
    raise Problem(404, "not told")
