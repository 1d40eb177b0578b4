"""Routes of pull requests: what the Hub calls discussions, without the discussing.

Reading rights and a token are enough to propose; merging is for those who may write.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry.server import names
from registry.server.access import rights
from registry.server.problems import Problem
from registry.server.routes import bodies, receiving
from registry.server.routes.asking import base_url, hub, note, opened, proposable, repository, writable
from registry.server.routes.declared import query, takes
from registry.server.routes.turns import in_turn
from registry.server.store import pulls
from registry.server.store.pulls import Pull
from registry.server.store.repository import BRANCHES, Repository

NUMBER = {"type": "integer", "minimum": 0, "maximum": 999_999}
PAGE = 50


@takes(
    query={
        "p": NUMBER,
        "type": {"type": "string"},
        "status": {"enum": ["open", "closed", "all"]},
        "author": {"type": "string"},
    }
)
def listing(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/discussions: newest first, PAGE at a time by `p`; by `type`, `status` and `author`."""
    repo = repository(request)
    is_open = {"open": True, "closed": False}.get(query(request, "status") or "")
    found = pulls.listed(repo, author=query(request, "author"), is_open=is_open)
    if query(request, "type") not in (None, "all", "pull_request"):
        found = []
    page = query(request, "p") or "0"
    if not (page.isascii() and page.isdigit() and len(page) <= 6):
        raise Problem(400, "p is not a number")
    start = int(page) * PAGE
    rows = [_row(repo, pull) for pull in found[start : start + PAGE]]
    return JSONResponse({"discussions": rows, "count": len(found), "start": start})


@takes(bodies.CreateDiscussion)
async def create(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/discussions: a draft, to which commits are made at refs/pr/N."""
    repo, user = await run_in_threadpool(proposable, request)
    body = await receiving.read(request, bodies.CreateDiscussion)
    if not body.pull_request:
        raise Problem(400, "this server takes pull requests, and no discussions")
    pull = await in_turn(repo, pulls.create, repo, user.name, body.title, body.description)
    return JSONResponse({"num": pull.number, "url": url(request, repo, pull), "pullRequest": True})


@takes(query={"diff": {"enum": [1]}})
async def details(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/discussions/{number}[?diff=1]."""
    repo = await run_in_threadpool(opened, request)
    return await in_turn(repo, _details, request, repo)


def _details(request: Request, repo: Repository) -> JSONResponse:
    pull = pulls.find(repo, _number(request))
    answer = _row(repo, pull) | {
        "events": [
            {
                "id": commit.oid,
                "type": "commit",
                "createdAt": commit.date,
                "author": {"name": commit.author},
                "data": {"subject": commit.title, "oid": commit.oid},
            }
            for commit in reversed(pulls.commits(repo, pull))
        ],
        "changes": {"base": BRANCHES + pull.branch} | ({"mergeCommitId": pull.merged} if pull.merged else {}),
        "filesWithConflicts": pulls.conflicts(repo, pull),
    }
    if query(request, "diff") == "1":
        answer["diff"] = pulls.diff(repo, pull)
    return JSONResponse(answer)


@takes(bodies.SetStatus)
async def status(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/discussions/{number}/status: close it, or open it again."""
    repo, user = await run_in_threadpool(proposable, request)
    body = await receiving.read(request, bodies.SetStatus)
    theirs = await run_in_threadpool(rights.changeable, user, repo, _number(request))
    if theirs.status == "closed":
        rights.check_write(user, repo)  # who has closed it may have had reasons
    change = hub(request).close if body.status == "closed" else hub(request).reopen
    pull = await in_turn(repo, change, repo, theirs.number)
    event = {"id": f"{pull.number}-{int(time.time())}", "type": "status-change", "createdAt": _date(int(time.time()))}
    return JSONResponse({"newStatus": event | {"author": {"name": user.name}, "data": {"status": pull.status}}})


@takes(bodies.Merge)
async def merge(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/discussions/{number}/merge: its commit says `comment`, too. 409 where it conflicts."""
    repo, user = await run_in_threadpool(writable, request)
    body = await receiving.read(request, bodies.Merge)
    pull = await in_turn(repo, hub(request).merge, repo, user, _number(request), body.comment)
    about = f"{repo.name.url_path} {pull.number}"
    await note(request, "pull request merged", about, branch=pull.branch, commit=pull.merged, author=pull.author)
    return JSONResponse({"mergeCommitId": pull.merged})


def url(request: Request, repo: Repository, pull: Pull) -> str:
    """The address of a request, as the clients take its number from it."""
    return f"{base_url(request)}/{repo.name.url_path}/discussions/{pull.number}"


def _row(repo: Repository, pull: Pull) -> dict[str, Any]:
    return {
        "num": pull.number,
        "title": pull.title,
        "author": {"name": pull.author},
        "createdAt": _date(pull.created),
        "status": pull.status,
        "isPullRequest": True,
        "repo": {"name": str(repo.name), "type": repo.name.kind.removesuffix("s")},
    }


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def _number(request: Request) -> int:
    return names.pull_number(str(request.path_params["number"]))
