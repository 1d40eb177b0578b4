"""Routes of large files: the LFS batch, and the signed links it gives out.

Source: git-lfs, docs/api/batch.md and basic-transfers.md; the `multipart` transfer is the Hugging Face Hub's own.
"""

from __future__ import annotations

import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from registry.hub.server import bodies
from registry.hub.server.problems import Problem
from registry.hub.server.state import base_url, hub, repository, writable

MEDIA_TYPE = "application/vnd.git-lfs+json"
MAX_PARTS = 10_000


async def batch(request: Request) -> JSONResponse:
    """POST {repo}.git/info/lfs/objects/batch: where to send or fetch each object; no action for one that is here."""
    body = await bodies.read(request, bodies.Batch)
    if body.operation == "upload":
        writable(request)
    else:
        repository(request)
    objects = [_object(request, body, item) for item in body.objects]
    multipart = any("chunk_size" in item.get("actions", {}).get("upload", {}).get("header", {}) for item in objects)
    answer = {"transfer": "multipart" if multipart else "basic", "objects": objects, "hash_algo": "sha256"}
    return JSONResponse(answer, media_type=MEDIA_TYPE)


async def put(request: Request) -> Response:
    """PUT /lfs/object?…: a whole object, by a signed link. 422 unless it is what was announced."""
    claims = hub(request).links.claims(request.query_params, "put")
    blobs, size = hub(request).blobs, int(claims["size"])
    with blobs.upload(size) as upload:
        await bodies.spool(request, upload)
        await run_in_threadpool(blobs.adopt, upload, claims["oid"], size)
    return Response(headers={"ETag": f'"{claims["oid"]}"'})


async def put_part(request: Request) -> Response:
    """PUT /lfs/part?…: one part of an object, by a signed link."""
    claims = hub(request).links.claims(request.query_params, "part")
    blobs = hub(request).blobs
    with blobs.upload(int(claims["size"])) as upload:
        await bodies.spool(request, upload)
        if upload.size != int(claims["size"]):
            raise Problem(422, f"announced {claims['size']} bytes, got {upload.size}")
        digest = await run_in_threadpool(blobs.keep_part, upload, claims["id"], int(claims["number"]))
    return Response(headers={"ETag": f'"{digest}"'})


async def complete(request: Request) -> JSONResponse:
    """POST /lfs/complete?…: join the parts. The client's own list of them is not needed: the link says how many."""
    claims = hub(request).links.claims(request.query_params, "complete")
    await bodies.read_bytes(request, bodies.MAX_JSON)
    await run_in_threadpool(
        hub(request).blobs.assemble, claims["id"], claims["oid"], int(claims["size"]), int(claims["parts"])
    )
    return JSONResponse({})


async def verify(request: Request) -> JSONResponse:
    """POST /lfs/verify?…: whether an upload has arrived. 404 where it has not."""
    claims = hub(request).links.claims(request.query_params, "verify")
    await bodies.read_bytes(request, bodies.MAX_JSON)
    if hub(request).blobs.size(claims["oid"]) != int(claims["size"]):
        raise Problem(404, "the object is not here")
    return JSONResponse({})


def get(request: Request) -> FileResponse:
    """GET /lfs/object?…: an object, by a signed link; ranges are answered."""
    claims = hub(request).links.claims(request.query_params, "get")
    if hub(request).blobs.size(claims["oid"]) is None:
        raise Problem(404, "the object is not here")
    path = hub(request).blobs.path(claims["oid"])
    return FileResponse(path, media_type="application/octet-stream", headers={"ETag": f'"{claims["oid"]}"'})


def _object(request: Request, body: bodies.Batch, item: bodies.LargeFile) -> dict[str, Any]:
    answer: dict[str, Any] = {"oid": item.oid, "size": item.size}
    here = hub(request).blobs.size(item.oid)
    if body.operation == "upload":
        if here != item.size:
            upload = _upload(request, item, "multipart" in body.transfers)
            verify = _link(request, "verify", oid=item.oid, size=str(item.size))
            answer["actions"] = {"upload": upload, "verify": {"href": verify, "header": {}}}
    elif here is None:
        answer["error"] = {"code": 404, "message": "the object is not here"}
    else:
        answer["actions"] = {"download": {"href": _link(request, "get", "object", oid=item.oid), "header": {}}}
    return answer


def _upload(request: Request, item: bodies.LargeFile, multipart: bool) -> dict[str, Any]:
    """The upload action: one link, or one for each part and one to complete them."""
    size = hub(request).part_size
    if not multipart or item.size <= size:
        return {"href": _link(request, "put", "object", oid=item.oid, size=str(item.size)), "header": {}}
    parts = -(-item.size // size)
    if parts > MAX_PARTS:
        raise Problem(413, f"an object of more than {MAX_PARTS} parts of {size} bytes")
    upload_id = secrets.token_hex(16)
    header = {"chunk_size": str(size)}
    for number in range(1, parts + 1):
        length = min(size, item.size - (number - 1) * size)
        header[f"{number:05d}"] = _link(request, "part", id=upload_id, number=str(number), size=str(length))
    href = _link(request, "complete", id=upload_id, oid=item.oid, size=str(item.size), parts=str(parts))
    return {"href": href, "header": header}


def _link(request: Request, action: str, place: str | None = None, **claims: str) -> str:
    return f"{base_url(request)}/lfs/{place or action}?{hub(request).links.query(action=action, **claims)}"
