"""Routes for `git clone` and `git fetch`: git's smart protocol, reading only.

Source: git, Documentation/gitprotocol-http.txt.
"""

from __future__ import annotations

import zlib

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from registry.server.problems import Problem
from registry.server.routes.asking import cloned
from registry.server.routes.declared import BYTES, query, takes
from registry.server.routes.receiving import read_bytes
from registry.server.store import cloning

MAX_WANTS = 16 << 20
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
    wants = await read_bytes(request, MAX_WANTS)
    if request.headers.get("content-encoding") == "gzip":
        wants = _gunzip(wants)
    pack = await cloning.packed(repo, wants, _version(request))
    repo.downloaded()
    return StreamingResponse(pack, media_type="application/x-git-upload-pack-result", headers=_NO_CACHE)


def _version(request: Request) -> str:
    return request.headers.get("git-protocol", "")


def _gunzip(data: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(data, MAX_WANTS)
    except zlib.error as problem:
        raise Problem(400, "the body is not gzip") from problem
    if stream.unconsumed_tail:
        raise Problem(413, f"a body of more than {MAX_WANTS} bytes")
    return plain


ROUTES = (info_refs, upload_pack)
"""What git asks."""
