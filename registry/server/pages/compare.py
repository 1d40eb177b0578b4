"""The page that compares two releases of a repository: what the signed records of both say, part by part."""

from __future__ import annotations

from itertools import chain, groupby, islice

from starlette.requests import Request

from registry.catalog import differences, weights
from registry.errors import GlasshouseError
from registry.server.pages import asked, release
from registry.server.pages.answered import Page
from registry.server.pages.sites import Site
from registry.server.problems import Problem

MAX_SHOWN = 2_000
"""Differences that a page shows."""
PARTS = {
    "release": "Release", "data": "Data", "params": "Parameters", "code": "Code", "packages": "Packages",
    "metrics": "Metrics", "files": "Files", "weights": "Weights",
}  # fmt: skip


def two(site: Site, request: Request) -> Page:
    """GET /{owner}/{name}/compare?before=…&after=…: by themselves, the two newest releases."""
    place = asked.place(site, request)
    before, after = asked.two(request, list(place.tags))
    sides = []
    for revision in (before, after):
        try:
            sides.append(site.release(place.at(revision)).entry)
        except GlasshouseError as problem:
            raise Problem(404, f"{revision} is not a release that can be read: {problem.message}") from problem
    first, second = sides
    every = chain(differences.compare(first, second), weights.compare(first, second, (None, None)))
    with site.turn():
        found = list(islice(every, MAX_SHOWN + 1))
    rows = [each.as_json() for each in found[:MAX_SHOWN]]
    facts = {
        **release.about(place), "before": before, "after": after, "differences": rows,
        "more": len(found) > MAX_SHOWN,
    }  # fmt: skip
    parts = {part: list(group) for part, group in groupby(rows, key=lambda row: row["part"])}
    more = {"title": f"{place.repo.name}: {before} and {after}", "tab": "compare", "parts": parts, "names": PARTS,
            "signed": True}  # fmt: skip
    return Page("compare.html", facts, more)
