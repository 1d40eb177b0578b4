"""The badge: the newest release of a repository, and what is said of it, as a picture for a README."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import Response

from registry.server.pages import asked, marks
from registry.server.pages.answered import HEADERS
from registry.server.pages.marks import Mark, Tone
from registry.server.pages.sites import Site

COLOURS: dict[Tone, str] = {
    "good": "#0b6b3a",
    "seen": "#0b5394",
    "plain": "#52615e",
    "warn": "#7a4b00",
    "bad": "#a4121f",
}
"""Each carries white text with a contrast above 4.5."""
GRAVEST: tuple[Tone, ...] = ("bad", "warn", "plain", "seen", "good")
HIGH, LETTER, ROOM = 20, 6.6, 16
"""Pixels: the height, about the width of a letter, and the room around a word."""


def picture(site: Site, request: Request) -> Response:
    """GET /{owner}/{name}/badge.svg."""
    place = asked.place(site, request)
    row = site.index.row(place.repo)
    found = marks.of_row(row, site.report(row)) or [marks.UNSIGNED]
    version = row.released.tag if row.released else "glasshouse"
    headers = {**HEADERS, "Cache-Control": "no-cache, max-age=0"}
    return Response(drawn(version, summed(found)), headers=headers, media_type="image/svg+xml")


def summed(found: list[Mark]) -> Mark:
    """The gravest of the marks; where all is good, all of them in one."""
    worst = min(found, key=lambda mark: GRAVEST.index(mark.tone))
    words = ", ".join(mark.word for mark in found) if worst.tone == "good" else worst.word
    return Mark(worst.tone, words, worst.why)


def drawn(left: str, mark: Mark) -> str:
    """The picture: `left` beside the word of `mark`, in the colour of how grave it is."""
    first, second = (round(len(text) * LETTER + ROOM) for text in (left, mark.word))
    wide, label = first + second, escape(f"{left}: {mark.word}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{HIGH}" role="img" aria-label="{label}">'
        f'<title>{label}</title><clipPath id="r"><rect width="{wide}" height="{HIGH}" rx="4"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{first}" height="{HIGH}" fill="#24302d"/>'
        f'<rect x="{first}" width="{second}" height="{HIGH}" fill="{COLOURS[mark.tone]}"/></g>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{first / 2}" y="14">{escape(left)}</text>'
        f'<text x="{first + second / 2}" y="14">{escape(mark.word)}</text>'
        "</g></svg>\n"
    )
