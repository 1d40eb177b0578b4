"""Routes that make a history anew, and those of the large files that a repository has had."""

from __future__ import annotations

import time
from functools import partial
from itertools import islice
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.server import names
from registry.server.access import rights
from registry.server.routes import bodies, paging, receiving
from registry.server.routes.asking import base_url, hub, member, note, opened, own, writable
from registry.server.routes.declared import takes
from registry.server.routes.paging import NUMBER
from registry.server.routes.turns import in_turn
from registry.server.store import objects, reachable, refs, rewriting
from registry.server.store.repository import BRANCHES, TAGS, Repository

MAX_REFS = 100
"""Branches and tags whose trees are read for one answer."""


@takes(bodies.Squash)
async def squash(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/super-squash/{branch}: one commit of all. 403 where a signed release stands on it."""
    repo, user = writable(request)
    body = await receiving.read(request, bodies.Squash)
    branch = names.revision(request.path_params["revision"])
    made = await in_turn(repo, rewriting.squash, repo, branch, user.name, body.message)
    await note(request, "history squashed", repo.name.url_path, branch=branch, commit=made)
    return JSONResponse({"commitOid": made})


@takes(query={"cursor": NUMBER, "limit": NUMBER})
async def large_files(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/lfs-files: each large file that was sent here, for those who may write.

    Which branch or tag has it is told of MAX_REFS of them.
    """
    repo, _ = await run_in_threadpool(writable, request)
    return await in_turn(repo, _large_files, request, repo)


def _large_files(request: Request, repo: Repository) -> JSONResponse:
    rows = sorted(repo.contents.blobs().items())
    url = f"{base_url(request)}/api/{repo.name.kind}/{repo.name}/lfs-files"
    start, end, more = paging.page(request, len(rows), url)
    return JSONResponse(_told(request, repo, dict(rows[start:end])), headers=more)


@takes(bodies.DeleteLargeFiles)
async def delete_large_files(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/lfs-files/batch: take large files away for good; never one that a release holds.

    409 for one that a commit names, unless `rewriteHistory` asks to make those commits anew.
    """
    repo, _ = writable(request)
    told = (await receiving.read(request, bodies.DeleteLargeFiles)).deletions
    await in_turn(repo, partial(rewriting.forget, rewrite=told.rewrite), repo, told.sha)
    await note(request, "large files deleted", repo.name.url_path, sha256=told.sha[:100], rewritten=told.rewrite)
    return JSONResponse({})


@takes(bodies.CopyLargeFiles)
async def copy_large_files(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/lfs-files/duplicate: let another repository have large files of this one.

    For those who may read this one's files, and write to the other. What is not here is told among `failed`.
    """
    source = own(await run_in_threadpool(opened, request))
    body = await receiving.read(request, bodies.CopyLargeFiles)
    owner, _, short = body.target.name.partition("/")
    name, user = names.RepoName(f"{body.target.type}s", owner, short), member(request)
    target = own(await run_in_threadpool(hub(request).readable, name, user))
    rights.check_write(user, target)
    asked = {file.sha256 for file in body.files if file.xet == file.sha256}
    given = await in_turn(target, hub(request).large.share, source, target, asked)
    failed = [{"sha256": file.sha256, "error": "not a large file of this repository"}
              for file in body.files if file.sha256 not in given]  # fmt: skip
    return JSONResponse({"success": [{"sha256": sha256} for sha256 in sorted(given)], "failed": failed})


def _told(request: Request, repo: Repository, rows: dict[str, int]) -> list[dict[str, Any]]:
    named, at = reachable.large_files(repo.folder), dict[str, str]()
    for ref, commit in islice(refs.named(repo.folder).items(), MAX_REFS):
        for row in objects.tree(repo.folder, commit, recursive=True):
            if row.sha256 in rows:
                at.setdefault(row.sha256, ref.removeprefix(BRANCHES).removeprefix(TAGS))
    found = []
    for sha256, size in rows.items():
        known = named.get(sha256)
        pushed = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(hub(request).large.pushed(sha256)))
        found.append({
            "fileOid": sha256, "oid": known.oid if known else sha256, "filename": known.path if known else "",
            "size": size, "pushedAt": pushed, "ref": at.get(sha256),
        })  # fmt: skip
    return found
