"""Routes of large files: the LFS batch, and the signed links it gives out.

Source: git-lfs, docs/api/batch.md and basic-transfers.md; the `multipart` transfer is the Hugging Face Hub's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from registry.server import bodies
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.routes import serving
from registry.server.routes.declared import BYTES, takes
from registry.server.state import base_url, check_quota, collecting, hub, repository, spending, writable
from registry.server.store.repository import Repository

MEDIA_TYPE = "application/vnd.git-lfs+json"
MAX_PARTS = 10_000
_LINK = {name: {"type": "string"} for name in ("action", "repo", "expires", "signature", "oid", "size", "id", "number")}
"""The query of a signed link; of no use to anybody who has not got one."""


@takes(bodies.Batch)
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


@takes(media=(BYTES,), query=_LINK)
async def put(request: Request) -> Response:
    """PUT /lfs/object?…: a whole object, by a signed link. 422 unless it is what was announced."""
    claims = hub(request).links.claims(request.query_params, "put")
    size = int(claims["size"])
    with hub(request).uploads.one(size) as upload:
        await bodies.spool(request, upload)
        await run_in_threadpool(upload.finish, claims["oid"], size)
        await run_in_threadpool(keep, request, claims, upload.path)
    return Response(headers={"ETag": f'"{claims["oid"]}"'})


@takes(media=(BYTES,), query=_LINK)
async def put_part(request: Request) -> Response:
    """PUT /lfs/part?…: one part of an object, by a signed link."""
    claims = hub(request).links.claims(request.query_params, "part")
    number, offset, size = (int(claims[key]) for key in ("number", "offset", "size"))
    with hub(request).uploads.part(claims["id"], number, offset, size) as upload:
        await bodies.spool(request, upload)
    return Response(headers={"ETag": f'"{claims["id"]}-{number}"'})


@takes(query=_LINK)
async def complete(request: Request) -> JSONResponse:
    """POST /lfs/complete?…: join the parts. The client's own list of them is not needed: the link says how many."""
    claims = hub(request).links.claims(request.query_params, "complete")
    await bodies.read_bytes(request, bodies.MAX_JSON)
    await run_in_threadpool(_complete, request, claims)
    return JSONResponse({})


@takes(query=_LINK)
async def verify(request: Request) -> JSONResponse:
    """POST /lfs/verify?…: whether an upload has arrived. 404 where it has not."""
    claims = hub(request).links.claims(request.query_params, "verify")
    await bodies.read_bytes(request, bodies.MAX_JSON)
    if claimed(request, claims).contents.blobs().get(claims["oid"]) != int(claims["size"]):
        raise Problem(404, "the object is not here")
    return JSONResponse({})


@takes(query=_LINK)
def get(request: Request) -> Response:
    """GET /lfs/object?…: an object, by a signed link; ranges are answered."""
    oid = hub(request).links.claims(request.query_params, "get")["oid"]
    blobs = hub(request).blobs
    size = blobs.size(oid)
    if size is None:
        raise Problem(404, "the object is not here")
    return serving.file(request, partial(blobs.read, oid), size, {"ETag": f'"{oid}"'}, "application/octet-stream")


def claimed(request: Request, claims: Mapping[str, str]) -> Repository:
    """The repository that a link was signed for. Raises Problem 404 where it has gone since."""
    return Repository.open(hub(request).repositories, RepoName(*claims["repo"].split("/")))


def _complete(request: Request, claims: Mapping[str, str]) -> None:
    oid, size = claims["oid"], int(claims["size"])
    with hub(request).uploads.joined(claims["id"], int(claims["parts"]), oid, size) as path:
        if path is not None:
            keep(request, claims, path)
        elif claimed(request, claims).contents.blobs().get(oid) != size:
            raise Problem(400, f"none of the {claims['parts']} parts has come")


def keep(request: Request, claims: Mapping[str, str], path: Path) -> None:
    """Put the checked file `path` into the store, and enter it in its repository's ledger."""
    repo, oid, size = claimed(request, claims), claims["oid"], int(claims["size"])
    with collecting(request):
        check_quota(request, repo, size)
        hub(request).blobs.put(path, oid, size)
        with spending(request, repo, 0 if oid in repo.contents.read() else size), repo.lock():
            repo.contents.append({oid: size})


def _object(
    request: Request, repo: Repository, body: bodies.Batch, item: bodies.LargeObject, here: int | None
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


def _upload(request: Request, repo: Repository, item: bodies.LargeObject, multipart: bool) -> dict[str, Any]:
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
        offset = (number - 1) * size
        place = {"number": str(number), "offset": str(offset), "size": str(min(size, item.size - offset))}
        header[f"{number:05d}"] = _link(request, repo, "part", id=upload_id, **place)
    href = _link(request, repo, "complete", id=upload_id, oid=item.oid, size=str(item.size), parts=str(parts))
    return {"href": href, "header": header}


def _link(request: Request, repo: Repository, action: str, route: str | None = None, **claims: str) -> str:
    query = hub(request).links.query(action=action, repo=f"{repo.name.kind}/{repo.name}", **claims)
    return f"{base_url(request)}/lfs/{route or action}?{query}"
