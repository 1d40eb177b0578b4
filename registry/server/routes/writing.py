"""Routes of a commit: where each file is to go, then the commit itself."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.server import names
from registry.server.access import rights
from registry.server.access.rights import User
from registry.server.problems import Problem
from registry.server.routes import bodies, proposing, receiving
from registry.server.routes.asking import base_url, hub, proposable, writable
from registry.server.routes.declared import LINES, check_body, query, takes
from registry.server.routes.turns import in_turn
from registry.server.store import commits, placement
from registry.server.store.placement import Announced
from registry.server.store.pulls import PULLS
from registry.server.store.repository import BRANCHES, Repository
from registry.server.store.uploads import mark_of


@takes(bodies.Preupload, query={"create_pr": {"enum": [1]}})
async def preupload(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/preupload/{revision}: which files go to the blob store, and what stands there now."""
    repo, _ = proposable(request) if _proposes(request) else writable(request)
    body = await receiving.read(request, bodies.Preupload)
    return await in_turn(repo, _preupload, request, repo, body)


def _preupload(request: Request, repo: Repository, body: bodies.Preupload) -> JSONResponse:
    commit = repo.resolve(names.revision(request.path_params["revision"]))
    files = [Announced(names.file_path(file.path), file.size, file.sample) for file in body.files]
    rows = [
        {
            "path": placed.path,
            "uploadMode": "lfs" if placed.large else "regular",
            "shouldIgnore": placed.ignored,
            "oid": placed.standing,
        }
        for placed in placement.place(repo, commit, files, body.ignore)
    ]
    return JSONResponse({"files": rows})


@takes(commits.LINE, media=(LINES,), query={"create_pr": {"enum": [1]}})
async def commit(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/commit/{branch}[?create_pr=1]: one commit; 412 where another was faster.

    With `create_pr` it is a pull request to that branch, and reading rights are enough, for less.
    """
    revision = names.revision(request.path_params["revision"].removeprefix(BRANCHES))
    proposes = _proposes(request) or revision.startswith(PULLS)
    repo, user = proposable(request) if proposes else writable(request)
    check_body(request, commits.LINE)
    with hub(request).large.uploads.one(rights.max_commit(user, repo), mark_of(user.name)) as upload:
        await receiving.spool(request, upload)
        upload.close()
        payer = repo.name.owner if rights.may_write(user, repo) else user.name
        check = partial(hub(request).large.quota.check, payer)
        asked = await in_turn(repo, commits.read, upload.path, repo, check)
    try:
        return await in_turn(repo, _commit, request, repo, user, revision, asked)
    except Problem:
        asked.discard()  # it may have waited in vain for its turn
        raise


def _commit(request: Request, repo: Repository, user: User, revision: str, asked: commits.Asked) -> JSONResponse:
    made = hub(request).commit(repo, user, revision, asked, proposed=_proposes(request))
    url = f"{base_url(request)}/{repo.name.url_path}/commit/{made.oid}"
    answer = {"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""}
    if made.pull is not None:
        answer["pullRequestUrl"] = proposing.url(request, repo, made.pull)
    return JSONResponse(answer)


def _proposes(request: Request) -> bool:
    return (query(request, "create_pr") or "").lower() in ("1", "true")
