"""The badge: the newest release of a repository, and what is said of it, as a picture for a README."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from registry.openness.badge import drawn
from registry.server.pages import asked, marks
from registry.server.pages.answered import HEADERS
from registry.server.pages.marks import Mark, Tone
from registry.server.pages.sites import Site

GRAVEST: tuple[Tone, ...] = ("bad", "warn", "plain", "seen", "good")


def picture(site: Site, request: Request) -> Response:
    """GET /{owner}/{name}/badge.svg."""
    place = asked.place(site, request)
    row = site.index.row(place.repo)
    found = marks.of_row(row, site.report(row)) or [marks.UNSIGNED]
    mark = summed(found)
    version = row.released.tag if row.released else "glasshouse"
    headers = {**HEADERS, "Cache-Control": "no-cache, max-age=0"}
    return Response(drawn(version, mark.word, mark.tone), headers=headers, media_type="image/svg+xml")


def summed(found: list[Mark]) -> Mark:
    """The gravest of the marks; where all is good, all of them in one."""
    worst = min(found, key=lambda mark: GRAVEST.index(mark.tone))
    words = ", ".join(mark.word for mark in found) if worst.tone == "good" else worst.word
    return Mark(worst.tone, words, worst.why)
