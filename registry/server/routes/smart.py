"""Routes for `git clone` and `git fetch`: git's smart protocol, reading only.

Source: git, Documentation/gitprotocol-http.txt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from registry.server.problems import Problem, busy
from registry.server.routes.asking import cloned
from registry.server.routes.declared import BYTES, query, takes
from registry.server.routes.receiving import address_of, read_to_disk
from registry.server.store import cloning

MAX_WANTS = 16 << 20
PATIENCE = 20.0
"""Seconds that a clone waits for others."""
PAUSE = 0.05
_NO_CACHE = {"Cache-Control": "no-cache"}


@takes(query={"service": {"enum": ["git-upload-pack"]}})
def info_refs(request: Request) -> Response:
    """GET {repo}/info/refs?service=git-upload-pack. 403 for pushing: the commit API is the one way in."""
    repo = cloned(request)
    if query(request, "service") != "git-upload-pack":
        raise Problem(403, f"this server is not written by git push: hf upload {repo.name} FOLDER makes a commit")
    refs = cloning.advertised(repo, _version(request))
    return Response(refs, media_type="application/x-git-upload-pack-advertisement", headers=_NO_CACHE)


@takes(media=(BYTES,))
async def upload_pack(request: Request) -> Response:
    """POST {repo}/git-upload-pack: the objects that a clone asks for, streamed as git packs them."""
    repo = cloned(request)
    wants = await read_to_disk(request, MAX_WANTS)
    pack = _in_turn(request, cloning.packed(repo, wants, _version(request)))
    try:
        first = await anext(pack)  # git says at once whether it understands
    except StopAsyncIteration:
        raise Problem(400, "git does not understand this request") from None
    finally:
        wants.close()  # git has it
    repo.downloaded()
    return StreamingResponse(_after(first, pack), media_type="application/x-git-upload-pack-result", headers=_NO_CACHE)


async def _in_turn(request: Request, pack: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, once git has time for it. Raises Problem 503 where others take too long."""
    clones, address, end = request.app.state.clones, address_of(request), time.monotonic() + PATIENCE
    while not clones.take(address):
        if time.monotonic() > end:
            raise busy("git")
        await asyncio.sleep(PAUSE)
    try:
        async for chunk in pack:
            yield chunk
    finally:
        clones.give_back(address)


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _version(request: Request) -> str:
    return request.headers.get("git-protocol", "")


ROUTES = (info_refs, upload_pack)
"""What git asks."""
