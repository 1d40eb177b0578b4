"""Routes for `git clone` and `git fetch`: git's smart protocol, reading only.

Source: git, Documentation/gitprotocol-http.txt.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from registry.server.bodies import read_bytes
from registry.server.problems import Problem
from registry.server.routes.declared import BYTES, query, takes
from registry.server.state import repository, user
from registry.server.store import git
from registry.server.store.repository import Repository

MAX_WANTS = 16 << 20
_PROTOCOL = re.compile(r"version=[0-2]")
_NO_CACHE = {"Cache-Control": "no-cache"}


@takes(query={"service": {"enum": ["git-upload-pack"]}})
def info_refs(request: Request) -> Response:
    """GET {repo}/info/refs?service=git-upload-pack. 403 for pushing: the commit API is the one way in."""
    repo = _cloned(request)
    if query(request, "service") != "git-upload-pack":
        raise Problem(403, "this server is written through its commit API, not by git push")
    head = b"001e# service=git-upload-pack\n0000"
    extra = _environment(request)
    refs = git.run(repo.folder, "upload-pack", "--stateless-rpc", "--advertise-refs", str(repo.folder), extra=extra)
    return Response(head + refs, media_type="application/x-git-upload-pack-advertisement", headers=_NO_CACHE)


@takes(media=(BYTES,))
async def upload_pack(request: Request) -> Response:
    """POST {repo}/git-upload-pack: the objects that a clone asks for, streamed as git packs them."""
    folder = _cloned(request).folder
    wants = await read_bytes(request, MAX_WANTS)
    if request.headers.get("content-encoding") == "gzip":
        wants = _gunzip(wants)
    pack = _pack(folder, wants, _environment(request))
    try:
        first = await anext(pack)  # git says at once whether it understands
    except StopAsyncIteration:
        raise Problem(400, "git does not understand this request") from None
    return StreamingResponse(_after(first, pack), media_type="application/x-git-upload-pack-result", headers=_NO_CACHE)


def _cloned(request: Request) -> Repository:
    """The repository of the path. Git sends no token before it is asked for one: nobody is asked for one by a 401."""
    try:
        return repository(request)
    except Problem as problem:
        if problem.status == 404 and user(request) is None:
            raise Problem(401, "a token is needed", headers={"WWW-Authenticate": 'Basic realm="Hub"'}) from problem
        raise


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def _pack(folder: Path, wants: bytes, extra: dict[str, str]) -> AsyncIterator[bytes]:
    process = await asyncio.create_subprocess_exec(
        *git.command(folder, "upload-pack", "--stateless-rpc", str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=git.environment(extra),
    )
    assert process.stdin is not None and process.stdout is not None
    feeding = asyncio.create_task(_feed(process.stdin, wants))
    ended = False
    try:
        while chunk := await process.stdout.read(64 << 10):
            yield chunk
        ended = True
    finally:
        feeding.cancel()
        if not ended:  # the client went away
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def _feed(stdin: asyncio.StreamWriter, wants: bytes) -> None:
    """Hand the request to git, which may end before it has read it all."""
    with suppress(ConnectionError):
        stdin.write(wants)
        await stdin.drain()
        stdin.close()


def _environment(request: Request) -> dict[str, str]:
    asked = request.headers.get("git-protocol", "")
    return {"GIT_PROTOCOL": asked} if _PROTOCOL.fullmatch(asked) else {}


def _gunzip(data: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(data, MAX_WANTS)
    except zlib.error as problem:
        raise Problem(400, "the body is no gzip") from problem
    if stream.unconsumed_tail:
        raise Problem(413, f"a body of more than {MAX_WANTS} bytes")
    return plain
