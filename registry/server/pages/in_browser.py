"""The page on which a reader's own browser checks a release: no word of this server is taken but the page itself."""

from __future__ import annotations

from starlette.requests import Request

from registry.server.pages import asked, release
from registry.server.pages.answered import SCRIPTED, Page, script
from registry.server.pages.sites import Site


def offered(site: Site, request: Request) -> Page:
    """GET /{owner}/{name}/check/{revision}."""
    place = asked.place(site, request)
    known = place.release(site)
    facts = {**release.about(place), **release.judged(site, place, known), "script": script()[2]}
    more = {
        "title": f"Check {place.repo.name} {place.revision} in this browser", "tab": "check",
        "script_at": script()[0], "signed_name": known.entry.release.name, "version": known.entry.release.version,
        "files_at": f"{place.address}/resolve/{place.shelf.commit}/",
    }  # fmt: skip
    return Page("check.html", facts, more, policy=SCRIPTED)
