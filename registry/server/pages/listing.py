"""The lists: models and data sets, searched, filtered and sorted by the one index of the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from starlette.requests import Request

from registry.openness import framework
from registry.server.pages import marks
from registry.server.pages.answered import Page
from registry.server.pages.sites import Site
from registry.server.problems import Problem
from registry.server.routes import asking
from registry.server.store import git
from registry.server.store.index import Facet, Listed, Order, Wanted

PAGE = 30
MAX_FACETS = 100
SORTS: Mapping[str, tuple[str, Order, bool]] = {
    "new": ("Newest first", "lastModified", True),
    "name": ("By name", "name", False),
    "large": ("Most parameters", "num_parameters", True),
    "loved": ("Most downloaded", "downloads", True),
}
"""By the word in the query: what a reader is told, what is compared, and whether the greatest comes first."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice among values that are found."""

    key: Facet
    """The word in the query, and what it filters by."""
    title: str
    """What a reader is told that it is."""
    any: str
    """What stands for no choice."""
    called: Mapping[str, str] = field(default_factory=dict)
    """What a value is called, where it is not called by itself."""


FILTERS = (
    Filter("license", "Licence", "Any licence"),
    Filter("task", "Task", "Any task"),
    Filter("openness", "Openness", "Any class", {name: f"{name} {title}" for name, title in framework.TITLES.items()}),
)
KEYS = tuple(each.key for each in FILTERS)
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
    asked = {key: request.query_params.get(key, "")[:100] for key in ("q", "sort", *KEYS)}
    sort = asked["sort"] if asked["sort"] in SORTS else "new"
    _, order, last_first = SORTS[sort]
    readable = site.hub.seen_by(asking.user(request), Wanted(kind, owner))
    known, facets = site.hub.index.facets(readable, KEYS, MAX_FACETS)
    number = _number(request)
    found = site.hub.index.page(replace(
        readable, words=tuple(asked["q"].split()), order=order, descending=last_first,
        license=asked["license"] or None, task=asked["task"] or None, openness=asked["openness"] or None,
    ), (number - 1) * PAGE, PAGE)  # fmt: skip
    facts = {
        "kind": kind, "owner": owner, "known": known, "count": found.count, "page": number,
        "pages": -(-found.count // PAGE),
        "items": items(site, found.rows),
    }  # fmt: skip
    shown = {
        "title": owner or TITLES[kind], "asked": {**asked, "sort": sort},
        "sorts": {word: told[0] for word, told in SORTS.items()},
        "filters": [{**asdict(each), "found": facets[each.key]} for each in FILTERS if facets[each.key]],
        "filtered": any(asked[each.key] for each in FILTERS),
    }  # fmt: skip
    return Page("list.html", facts, shown)


def items(site: Site, listed: Iterable[Listed]) -> list[dict[str, Any]]:
    """What a list says of each; one that has gone since, or cannot be read, is left out."""
    found = []
    for row in listed:
        with suppress(Problem, git.GitFailed):
            found.append(_item(site, row))
    return found


def _item(site: Site, row: Listed) -> dict[str, Any]:
    """What a list says of a repository, with its marks, the gravest first."""
    known, facts = site.index.row(row.seen.repository), row.facts
    new = known.released
    return {
        "id": str(known.name), "kind": known.name.kind, "title": facts.title,
        "versions": list(known.tags), "license": (new and new.license) or facts.license,
        "task": facts.task, "changed": facts.changed, "downloads": row.downloads, "release": new and new.as_json(),
        "parameters": (new and new.parameters) or sum(facts.parameters.values()) or None,
        "marks": [mark.as_json() for mark in marks.of_row(known, site.report(known))],
    }  # fmt: skip


def _number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return min(max(int(text), 1), 1_000_000) if text.isascii() and text.isdigit() and len(text) < 8 else 1
