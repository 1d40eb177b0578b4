"""Routes of large files: the LFS batch, and the signed links it gives out.

Source: git-lfs, docs/api/batch.md and basic-transfers.md; the `multipart` transfer is the Hugging Face Hub's own.
"""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from registry.server.problems import Problem
from registry.server.routes import bodies, receiving, serving
from registry.server.routes.asking import base_url, claimed, cloned, hub, token_id, writable
from registry.server.routes.declared import BYTES, takes
from registry.server.routes.turns import in_turn
from registry.server.store.repository import Repository
from registry.server.store.uploads import mark_of, new_id, parts

MEDIA_TYPE = "application/vnd.git-lfs+json"
_LINK = {
    name: {"type": "string"}
    for name in ("action", "repo", "expires", "signature", "oid", "size", "id", "number", "mark", "token", "whole")
}
"""The query of a signed link; of no use to anybody who has not got one."""


@takes(bodies.Batch)
async def batch(request: Request) -> JSONResponse:
    """POST {repo}.git/info/lfs/objects/batch: where to send or fetch each object; no action for one that is here."""
    body = await receiving.read(request, bodies.Batch)
    repo, user = writable(request) if body.operation == "upload" else (cloned(request), None)
    return await run_in_threadpool(_batch, request, repo, body, "" if user is None else user.name)


def _batch(request: Request, repo: Repository, body: bodies.Batch, user: str) -> JSONResponse:
    hub(request).collect()
    large = hub(request).large_of(repo)
    here = large.here(repo, (item.oid for item in body.objects))
    if body.operation == "upload":
        large.quota.check(repo.name.owner, sum(item.size for item in body.objects if item.oid not in here))
    objects = [_object(request, repo, body, item, here.get(item.oid), user) for item in body.objects]
    multipart = any("chunk_size" in item.get("actions", {}).get("upload", {}).get("header", {}) for item in objects)
    answer = {"transfer": "multipart" if multipart else "basic", "objects": objects, "hash_algo": "sha256"}
    return JSONResponse(answer, media_type=MEDIA_TYPE)


@takes(media=(BYTES,), query=_LINK)
async def put(request: Request) -> Response:
    """PUT /lfs/object?…: a whole object, by a signed link. 422 unless it is what was announced."""
    claims = hub(request).links.claims(request.query_params, "put")
    oid, size, large = claims["oid"], int(claims["size"]), hub(request).large
    repo = claimed(request, claims, writes=True)
    with large.uploads.one(size, claims["mark"]) as upload:
        await receiving.spool(request, upload)
        await run_in_threadpool(upload.finish, oid, size)
        await in_turn(repo, large.keep, repo, upload.path, oid, size)
    return Response(headers={"ETag": f'"{oid}"'})


@takes(media=(BYTES,), query=_LINK)
async def put_part(request: Request) -> Response:
    """PUT /lfs/part?…: one part of an object, by a signed link."""
    claims = hub(request).links.claims(request.query_params, "part")
    number, offset, size = (int(claims[key]) for key in ("number", "offset", "size"))
    repo, large = claimed(request, claims, writes=True), hub(request).large
    if large.quota.limit is not None:
        coming = await run_in_threadpool(large.uploads.coming, claims["id"])
        await run_in_threadpool(large.quota.check, repo.name.owner, int(claims["whole"]), coming=coming)
    with large.uploads.part(claims["id"], number, offset, size) as upload:
        await receiving.spool(request, upload)
    return Response(headers={"ETag": f'"{claims["id"]}-{number}"'})


@takes(query=_LINK)
async def complete(request: Request) -> JSONResponse:
    """POST /lfs/complete?…: join the parts. The client's own list of them is not needed: the link says how many."""
    claims = hub(request).links.claims(request.query_params, "complete")
    await receiving.read_bytes(request, receiving.MAX_JSON)
    upload_id, count, oid, size = claims["id"], int(claims["parts"]), claims["oid"], int(claims["size"])
    repo = claimed(request, claims, writes=True)
    await in_turn(repo, hub(request).large.join, repo, upload_id, count, oid, size)
    return JSONResponse({})


@takes(query=_LINK)
async def verify(request: Request) -> JSONResponse:
    """POST /lfs/verify?…: whether an upload has arrived. 404 where it has not."""
    claims = hub(request).links.claims(request.query_params, "verify")
    await receiving.read_bytes(request, receiving.MAX_JSON)
    if claimed(request, claims, writes=True).contents.blobs().get(claims["oid"]) != int(claims["size"]):
        raise Problem(404, "the object is not here")
    return JSONResponse({})


@takes(query=_LINK)
def get(request: Request) -> Response:
    """GET /lfs/object?…: an object, by a signed link; ranges are answered."""
    claims = hub(request).links.claims(request.query_params, "get")
    repo = claimed(request, claims)
    return serving.file(request, hub(request).large_of(repo).blob(repo, claims["oid"]), {}, BYTES)


def _object(
    request: Request, repo: Repository, body: bodies.Batch, item: bodies.LargeObject, here: int | None, user: str
) -> dict[str, Any]:
    """The answer for one object. here: its size, where this repository has it.  user: who would send it."""
    answer: dict[str, Any] = {"oid": item.oid, "size": item.size}
    if body.operation == "upload":
        if here != item.size:
            upload = _upload(request, repo, item, user, "multipart" in body.transfers)
            verify = _link(request, repo, "verify", oid=item.oid, size=str(item.size))
            answer["actions"] = {"upload": upload, "verify": {"href": verify, "header": {}}}
    elif here is None:
        answer["error"] = {"code": 404, "message": "the object is not here"}
    else:
        answer["actions"] = {"download": {"href": _link(request, repo, "get", "object", oid=item.oid), "header": {}}}
    return answer


def _upload(request: Request, repo: Repository, item: bodies.LargeObject, user: str, multipart: bool) -> dict[str, Any]:
    """The upload action: one link, or one for each part and one to complete them."""
    size = hub(request).limits.part_size
    if not multipart or item.size <= size:
        whole = {"oid": item.oid, "size": str(item.size), "mark": mark_of(user)}
        return {"href": _link(request, repo, "put", "object", **whole), "header": {}}
    upload_id, pieces = new_id(user, repo.name.owner, item.oid), parts(item.size, size)
    header = {"chunk_size": str(size)}
    for part in pieces:
        place = {"number": str(part.number), "offset": str(part.offset), "size": str(part.size),
                 "whole": str(item.size)}  # fmt: skip
        header[f"{part.number:05d}"] = _link(request, repo, "part", id=upload_id, **place)
    whole = {"oid": item.oid, "size": str(item.size), "parts": str(len(pieces))}
    return {"href": _link(request, repo, "complete", id=upload_id, **whole), "header": header}


def _link(request: Request, repo: Repository, action: str, route: str | None = None, **claims: str) -> str:
    whose = {"repo": f"{repo.name.kind}/{repo.name}", "token": token_id(request)}
    return f"{base_url(request)}/lfs/{route or action}?{hub(request).links.query(action=action, **whose, **claims)}"
