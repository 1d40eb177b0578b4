"""The lists: models and data sets, searched, filtered and sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from registry.server.pages import marks
from registry.server.pages.answered import Page
from registry.server.pages.index import IndexRow
from registry.server.pages.sites import Site
from registry.server.problems import Problem
from registry.server.routes import asking

PAGE = 30
MAX_FACETS = 100
SORTS: Mapping[str, tuple[str, Callable[[IndexRow], Any], bool]] = {
    "new": ("Newest first", lambda row: row.changed, True),
    "name": ("By name", lambda row: str(row.name).lower(), False),
    "large": ("Most parameters", lambda row: (row.released and row.released.parameters) or 0, True),
}
"""By the word in the query: what a reader is told, what is compared, and whether the greatest comes first."""
TITLES = {"models": "Models", "datasets": "Data sets"}


def models(site: Site, request: Request) -> Page:
    """GET / and /models: the models that the reader may see."""
    return _list(site, request, "models")


def datasets(site: Site, request: Request) -> Page:
    """GET /datasets: the data sets that the reader may see."""
    return _list(site, request, "datasets")


def owner(site: Site, request: Request) -> Page:
    """GET /{owner}: the models of one namespace. 404 where it has none that the reader may see."""
    found = _list(site, request, "models", request.path_params["owner"])
    if not found.facts["known"]:
        raise Problem(404, f"nothing of {request.path_params['owner'][:100]} is here")
    return found


def _list(site: Site, request: Request, kind: str, owner: str | None = None) -> Page:
    asked = {key: request.query_params.get(key, "")[:100] for key in ("q", "license", "task", "sort")}
    known = list(site.index.rows(site.hub.visible(kind, asking.user(request), owner=owner)))
    found = [row for row in known if _fits(row, asked)]
    sort = asked["sort"] if asked["sort"] in SORTS else "new"
    _, key, last_first = SORTS[sort]
    found.sort(key=lambda row: str(row.name).lower())
    found.sort(key=key, reverse=last_first)
    number = _number(request)
    rows = found[(number - 1) * PAGE : number * PAGE]
    facts = {
        "kind": kind, "owner": owner, "known": len(known), "count": len(found), "page": number,
        "pages": -(-len(found) // PAGE),
        "items": [item(site, row) for row in rows],
    }  # fmt: skip
    shown = {
        "title": owner or TITLES[kind], "asked": {**asked, "sort": sort},
        "sorts": {word: told[0] for word, told in SORTS.items()},
        "licenses": _facets(row.license for row in known), "tasks": _facets(row.task for row in known),
    }  # fmt: skip
    return Page("list.html", facts, shown)


def item(site: Site, row: IndexRow) -> dict[str, Any]:
    """What a list says of a repository, with its marks, the gravest first."""
    return row.as_json() | {"marks": [mark.as_json() for mark in marks.of_row(row, site.report(row))]}


def _fits(row: IndexRow, asked: Mapping[str, str]) -> bool:
    told = f"{row.name} {row.title or ''} {row.task or ''} {row.license or ''}".lower()
    return (
        all(word in told for word in asked["q"].lower().split())
        and asked["license"] in ("", row.license)
        and asked["task"] in ("", row.task)
    )


def _facets(values: Any) -> list[tuple[str, int]]:
    return sorted(Counter(value for value in values if value).most_common(MAX_FACETS))


def _number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return min(max(int(text), 1), 1_000_000) if text.isascii() and text.isdigit() and len(text) < 8 else 1
