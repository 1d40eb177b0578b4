"""Routes that say what is in a repository: info, tree, paths, refs, commits. `listing.py` says which there are."""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from registry import canonical
from registry.server import names
from registry.server.problems import Problem
from registry.server.routes import paging, summaries
from registry.server.routes.asking import base_url, hub, repository
from registry.server.routes.bodies import PathsInfo
from registry.server.routes.declared import FORM, JSON, check_body, query, takes
from registry.server.routes.paging import FLAG, NUMBER, PAGE
from registry.server.routes.receiving import MAX_JSON, read_bytes
from registry.server.routes.xet_tokens import offered
from registry.server.store import history, objects
from registry.server.store.facts import facts_of
from registry.server.store.objects import TreeRow
from registry.server.store.pulls import PULLS
from registry.server.store.refs import named
from registry.server.store.repository import BRANCHES, TAGS, Repository

PAGE_EXPANDED = 100
MAX_PAGE = 1_000_000
PAGE_HISTORY = 50
"""Commits of a history in one answer; what one says of itself may be long."""


@takes(query={"blobs": FLAG, "securityStatus": FLAG, "expand": summaries.PROPERTY, "expand[]": summaries.PROPERTY})
def info(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}[/revision/{revision}]: what it says of itself, and every file's name.

    Digests of files come with `blobs`; with `expand`, nothing but what that names.
    """
    repo = repository(request)
    commit = repo.resolve(names.revision(request.path_params.get("revision", names.MAIN)))
    rows = [row for row in repo.rows(commit, recursive=True) if not row.directory]
    told = facts_of(repo, hub(request).large_of(repo).blobs, commit)
    answer = summaries.summary(repo, repo.created, repo.downloads, told) | summaries.more(told)
    answer["siblings"] = [_sibling(row, paging.flag(request, "blobs")) for row in rows]
    answer["usedStorage"] = sum(repo.contents.read().values())
    return JSONResponse(summaries.expanded(request, answer))


@takes(query={"recursive": FLAG, "expand": FLAG, "cursor": NUMBER, "limit": NUMBER})
def tree(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/tree/{revision}[/{path}]: its rows, PAGE at a time, all pages at one commit."""
    repo = repository(request)
    params = request.path_params
    commit = repo.resolve(names.revision(params["revision"]))
    path = names.file_path(params["path"].rstrip("/")) if params.get("path") else None
    rows = repo.rows(commit, path, recursive=paging.flag(request, "recursive"))
    tail = f"/{quote(path)}" if path else ""
    url = f"{base_url(request)}/api/{repo.name.kind}/{repo.name}/tree/{commit}{tail}"
    expand = paging.flag(request, "expand")
    start, end, more = paging.page(request, len(rows), url, PAGE_EXPANDED if expand else PAGE)
    found = _rows(repo, commit, rows[start:end], expand=expand, xet=offered(request, repo))
    return JSONResponse(found, headers=more)


@takes(PathsInfo, media=(JSON, FORM))
async def paths_info(request: Request) -> JSONResponse:
    """POST /api/{kind}/{repo}/paths-info/{revision}: the rows of the paths that exist."""
    check_body(request, PathsInfo)
    data = await read_bytes(request, MAX_JSON)
    if "json" in request.headers.get("content-type", ""):
        asked = PathsInfo.model_validate(canonical.parse(data, name="the body", max_depth=8))
    else:
        try:
            form = parse_qs(data.decode("utf-8", "replace"), max_num_fields=2000)
        except ValueError as problem:
            raise Problem(400, "a form of more than 2000 fields") from problem
        asked = PathsInfo.model_validate({"paths": form.get("paths", []), "expand": form.get("expand", ["false"])[0]})
    paths = [names.file_path(path.rstrip("/")) for path in asked.paths]
    return await run_in_threadpool(_paths_info, request, paths, asked.expand)


@takes(query={"include_prs": FLAG})
def refs(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/refs: branches and tags; pull requests where they are asked for."""
    prefixes = {"branches": BRANCHES, "tags": TAGS} | (
        {"pullRequests": PULLS} if paging.flag(request, "include_prs") else {}
    )
    found = named(repository(request).folder, *prefixes.values())
    answer: dict[str, list[dict[str, str]]] = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
    for key, prefix in prefixes.items():
        answer[key] = [
            {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit}
            for ref, commit in found.items()
            if ref.startswith(prefix)
        ]
    return JSONResponse(answer)


@takes(query={"p": NUMBER, "expand[]": {"enum": ["formatted"]}})
def commits(request: Request) -> JSONResponse:
    """GET /api/{kind}/{repo}/commits/{revision}: newest first, PAGE_HISTORY at a time by `p`.

    What a commit says comes as HTML, too, where `expand[]=formatted` asks for it.
    """
    repo = repository(request)
    commit = repo.resolve(names.revision(request.path_params["revision"]))
    page = paging.number(request, "p", 0)
    if page > MAX_PAGE:
        raise Problem(400, f"p is at most {MAX_PAGE}")
    formatted = query(request, "expand[]") == "formatted"
    found = history.log(repo.folder, commit, limit=PAGE_HISTORY + 1, skip=page * PAGE_HISTORY)
    response = JSONResponse([_commit(each, formatted=formatted) for each in found[:PAGE_HISTORY]])
    if len(found) > PAGE_HISTORY:
        again = urlencode({"p": page + 1} | ({"expand[]": "formatted"} if formatted else {}))
        url = f"{base_url(request)}/api/{repo.name.kind}/{repo.name}/commits/{commit}?{again}"
        response.headers["Link"] = f'<{url}>; rel="next"'
    return response


def _commit(commit: history.Commit, *, formatted: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": commit.oid,
        "title": commit.title,
        "message": commit.message,
        "date": commit.date,
        "authors": [{"user": commit.author}],
    }
    if formatted:
        answer["formatted"] = {"title": html.escape(commit.title), "message": html.escape(commit.message)}
    return answer


def _paths_info(request: Request, paths: list[str], expand: bool) -> JSONResponse:
    repo: Repository = repository(request)
    commit = repo.resolve(names.revision(request.path_params["revision"]))
    rows = objects.tree(repo.folder, commit, paths) if paths else []
    return JSONResponse(_rows(repo, commit, rows, expand=expand, xet=offered(request, repo)))


def _rows(repo: Repository, commit: str, rows: list[TreeRow], *, expand: bool, xet: bool) -> list[dict[str, Any]]:
    """The rows; with `expand`, each with the commit that changed it last; with `xet`, with their names in Xet."""
    answer = [_row(row, xet) for row in rows]
    last = history.last_changes(repo.folder, commit, [row.path for row in rows]) if expand and rows else {}
    for row in answer:
        if (change := last.get(row["path"])) is not None:
            row["lastCommit"] = {"id": change.oid, "title": change.title, "date": change.date}
    return answer


def _row(row: TreeRow, xet: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "type": "directory" if row.directory else "file",
        "oid": row.oid,
        "size": row.size,
        "path": row.path,
    }
    if row.sha256 is not None:
        answer["lfs"] = {"oid": row.sha256, "size": row.size, "pointerSize": row.pointer_size}
        answer |= {"xetHash": row.sha256} if xet else {}
    return answer


def _sibling(row: TreeRow, detailed: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {"rfilename": row.path}
    if detailed:
        answer |= {"size": row.size, "blobId": row.oid}
        if row.sha256 is not None:
            answer["lfs"] = {"sha256": row.sha256, "size": row.size, "pointerSize": row.pointer_size}
    return answer
