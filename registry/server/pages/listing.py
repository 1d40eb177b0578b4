"""The lists: models and data sets, searched, filtered and sorted by the one index of the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import Request

from registry.server.pages import marks
from registry.server.pages.answered import Page
from registry.server.pages.sites import Site
from registry.server.problems import Problem
from registry.server.routes import asking
from registry.server.store import git
from registry.server.store.index import Listed, Order, Seen, Wanted

PAGE = 30
MAX_FACETS = 100
SORTS: Mapping[str, tuple[str, Order, bool]] = {
    "new": ("Newest first", "lastModified", True),
    "name": ("By name", "name", False),
    "large": ("Most parameters", "num_parameters", True),
    "loved": ("Most downloaded", "downloads", True),
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
    reader = asking.user(request)
    sort = asked["sort"] if asked["sort"] in SORTS else "new"
    _, order, last_first = SORTS[sort]
    known = site.hub.find(reader, Wanted(kind, owner))
    found = site.hub.find(reader, Wanted(
        kind, owner, tuple(asked["q"].split()), (), asked["license"] or None, asked["task"] or None,
        order=order, descending=last_first,
    ))  # fmt: skip
    number = _number(request)
    facts = {
        "kind": kind, "owner": owner, "known": len(known), "count": len(found), "page": number,
        "pages": -(-len(found) // PAGE),
        "items": items(site, found[(number - 1) * PAGE : number * PAGE]),
    }  # fmt: skip
    shown = {
        "title": owner or TITLES[kind], "asked": {**asked, "sort": sort},
        "sorts": {word: told[0] for word, told in SORTS.items()},
        "licenses": _facets(each.license for each in known), "tasks": _facets(each.task for each in known),
    }  # fmt: skip
    return Page("list.html", facts, shown)


def items(site: Site, seen: Iterable[Seen]) -> list[dict[str, Any]]:
    """What a list says of each; one that has gone since, or cannot be read, is left out."""
    found = []
    for row in site.hub.index.rows(list(seen)):
        with suppress(Problem, git.GitFailed, FileNotFoundError):
            found.append(_item(site, row))
    return found


def _item(site: Site, row: Listed) -> dict[str, Any]:
    """What a list says of a repository, with its marks, the gravest first."""
    known, facts = site.index.row(row.seen.repository), row.facts
    new = known.released
    return {
        "id": str(known.name), "kind": known.name.kind, "title": facts.title,
        "versions": [tag for tag, _ in known.commits], "license": (new and new.license) or facts.license,
        "task": facts.task, "changed": facts.changed, "downloads": row.downloads, "release": new and new.as_json(),
        "parameters": (new and new.parameters) or sum(facts.parameters.values()) or None,
        "marks": [mark.as_json() for mark in marks.of_row(known, site.report(known))],
    }  # fmt: skip


def _facets(values: Any) -> list[tuple[str, int]]:
    return sorted(Counter(value for value in values if value).most_common(MAX_FACETS))


def _number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return min(max(int(text), 1), 1_000_000) if text.isascii() and text.isdigit() and len(text) < 8 else 1
