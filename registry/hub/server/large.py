"""Routes of large files: the LFS batch, and the signed links it gives out.

Source: git-lfs, docs/api/batch.md and basic-transfers.md; the `multipart` transfer is the Hugging Face Hub's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from registry.hub.server import bodies
from registry.hub.server.names import RepoName
from registry.hub.server.problems import Problem
from registry.hub.server.repository import Repository
from registry.hub.server.state import base_url, check_quota, hub, repository, writable

MEDIA_TYPE = "application/vnd.git-lfs+json"
MAX_PARTS = 10_000


async def batch(request: Request) -> JSONResponse:
    """POST {repo}.git/info/lfs/objects/batch: where to send or fetch each object; no action for one that is here."""
    body = await bodies.read(request, bodies.Batch)
    repo = writable(request)[0] if body.operation == "upload" else repository(request)
    return await run_in_threadpool(_batch, request, repo, body)


def _batch(request: Request, repo: Repository, body: bodies.Batch) -> JSONResponse:
    hub(request).collect()
    entered, blobs = repo.contents.blobs(), hub(request).blobs
    asked = {item.oid for item in body.objects}
    here = {oid: entered[oid] for oid in asked if oid in entered and blobs.size(oid) is not None}
    if body.operation == "upload":
        check_quota(request, repo, sum(item.size for item in body.objects if item.oid not in here))
    objects = [_object(request, repo, body, item, here.get(item.oid)) for item in body.objects]
    multipart = any("chunk_size" in item.get("actions", {}).get("upload", {}).get("header", {}) for item in objects)
    answer = {"transfer": "multipart" if multipart else "basic", "objects": objects, "hash_algo": "sha256"}
    return JSONResponse(answer, media_type=MEDIA_TYPE)


async def put(request: Request) -> Response:
    """PUT /lfs/object?…: a whole object, by a signed link. 422 unless it is what was announced."""
    claims = hub(request).links.claims(request.query_params, "put")
    blobs, size = hub(request).blobs, int(claims["size"])
    with blobs.upload(size) as upload:
        await bodies.spool(request, upload)
        repo = claimed(request, claims)
        await run_in_threadpool(blobs.adopt, upload, claims["oid"], size)
        await run_in_threadpool(_enter, repo, claims["oid"], size)
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
    repo, size = claimed(request, claims), int(claims["size"])
    await run_in_threadpool(hub(request).blobs.assemble, claims["id"], claims["oid"], size, int(claims["parts"]))
    await run_in_threadpool(_enter, repo, claims["oid"], size)
    return JSONResponse({})


async def verify(request: Request) -> JSONResponse:
    """POST /lfs/verify?…: whether an upload has arrived. 404 where it has not."""
    claims = hub(request).links.claims(request.query_params, "verify")
    await bodies.read_bytes(request, bodies.MAX_JSON)
    if claimed(request, claims).contents.blobs().get(claims["oid"]) != int(claims["size"]):
        raise Problem(404, "the object is not here")
    return JSONResponse({})


def get(request: Request) -> FileResponse:
    """GET /lfs/object?…: an object, by a signed link; ranges are answered."""
    claims = hub(request).links.claims(request.query_params, "get")
    if hub(request).blobs.size(claims["oid"]) is None:
        raise Problem(404, "the object is not here")
    path = hub(request).blobs.path(claims["oid"])
    return FileResponse(path, media_type="application/octet-stream", headers={"ETag": f'"{claims["oid"]}"'})


def claimed(request: Request, claims: Mapping[str, str]) -> Repository:
    """The repository that a link was signed for. Raises Problem 404 where it has gone since."""
    return Repository.open(hub(request).repositories, RepoName(*claims["repo"].split("/")))


def _enter(repo: Repository, oid: str, size: int) -> None:
    with repo.lock():
        repo.contents.append({oid: size})


def _object(
    request: Request, repo: Repository, body: bodies.Batch, item: bodies.LargeFile, here: int | None
) -> dict[str, Any]:
    """The answer for one object. here: its size, where this repository has it."""
    answer: dict[str, Any] = {"oid": item.oid, "size": item.size}
    if body.operation == "upload":
        if here != item.size:
            upload = _upload(request, repo, item, "multipart" in body.transfers)
            verify = _link(request, repo, "verify", oid=item.oid, size=str(item.size))
            answer["actions"] = {"upload": upload, "verify": {"href": verify, "header": {}}}
    elif here is None:
        answer["error"] = {"code": 404, "message": "the object is not here"}
    else:
        answer["actions"] = {"download": {"href": _link(request, repo, "get", "object", oid=item.oid), "header": {}}}
    return answer


def _upload(request: Request, repo: Repository, item: bodies.LargeFile, multipart: bool) -> dict[str, Any]:
    """The upload action: one link, or one for each part and one to complete them."""
    size = hub(request).limits.part_size
    if not multipart or item.size <= size:
        return {"href": _link(request, repo, "put", "object", oid=item.oid, size=str(item.size)), "header": {}}
    parts = -(-item.size // size)
    if parts > MAX_PARTS:
        raise Problem(413, f"an object of more than {MAX_PARTS} parts of {size} bytes")
    upload_id = secrets.token_hex(16)
    header = {"chunk_size": str(size)}
    for number in range(1, parts + 1):
        length = min(size, item.size - (number - 1) * size)
        header[f"{number:05d}"] = _link(request, repo, "part", id=upload_id, number=str(number), size=str(length))
    href = _link(request, repo, "complete", id=upload_id, oid=item.oid, size=str(item.size), parts=str(parts))
    return {"href": href, "header": header}


def _link(request: Request, repo: Repository, action: str, place: str | None = None, **claims: str) -> str:
    query = hub(request).links.query(action=action, repo=f"{repo.name.kind}/{repo.name}", **claims)
    return f"{base_url(request)}/lfs/{place or action}?{query}"
