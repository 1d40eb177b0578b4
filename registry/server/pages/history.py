"""The history of a repository: everything that was signed of its releases, in order; as a page, as JSON, as a feed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from registry.catalog import history
from registry.catalog.history import Event
from registry.errors import GlasshouseError
from registry.report import Verdict
from registry.server.pages import asked, expected, release
from registry.server.pages.answered import HEADERS, Page, templates
from registry.server.pages.asked import AskedFor
from registry.server.pages.expected import Expected
from registry.server.pages.sites import Site
from registry.server.routes import asking

MAX_RELEASES = 100
"""The newest releases that are read."""
KINDS = ("release", "status", "rebuild", "replay", "reevaluation", "unread")


def log(site: Site, request: Request) -> Page:
    """GET /{owner}/{name}/history: newest first; `?what=` leaves out the rest."""
    place = asked.place(site, request)
    events, unread = _events(site, place)
    named = expected.policy_of(site.hub.root, place.repo.name.owner) is not None
    what = request.query_params.get("what", "")
    kept = [event for event in events if what in ("", event.what)]
    facts = {
        **release.about(place), "events": [_told(event, named) for event in kept], "unread": unread, "what": what,
        "signerExpected": named, "older": max(0, len(place.tags) - MAX_RELEASES),
    }  # fmt: skip
    counts = {kind: sum(event.what == kind for event in events) for kind in KINDS}
    shown = {"title": f"History of {place.repo.name}", "tab": "history", "counts": counts, "signed": bool(place.tags)}
    return Page("history.html", facts, shown)


def feed(site: Site, request: Request) -> Response:
    """GET /{owner}/{name}/history.atom. Source: RFC 4287."""
    place = asked.place(site, request)
    events, _ = _events(site, place)
    named = expected.policy_of(site.hub.root, place.repo.name.owner) is not None
    dated = [_told(event, named) for event in events if event.at is not None]
    text = templates().get_template("history.atom").render(
        place=place, events=dated, base=asking.base_url(request), updated=dated[0]["at"] if dated else EPOCH
    )  # fmt: skip
    return Response(text, headers=HEADERS, media_type="application/atom+xml")


EPOCH = datetime.fromtimestamp(0, UTC).isoformat()


def _events(site: Site, place: AskedFor) -> tuple[list[Event], list[dict[str, str]]]:
    """Every event, the newest first; and the releases that cannot be read."""
    entries: list[Expected] = []
    unread = []
    for tag in list(place.tags)[:MAX_RELEASES]:
        try:
            entries.append(site.release(place.at(tag)))
        except GlasshouseError as problem:
            unread.append({"release": tag, "problem": problem.message})
    with site.turn():
        return history.events(known.entry for known in entries)[::-1], unread


def _told(event: Event, named: bool) -> dict[str, Any]:
    """An event as a page shows it. Where the operator named nobody, whose word it is stays UNKNOWN."""
    tag, verdict = event.release.rpartition("@")[2], history.verdict(event)
    holds = verdict is Verdict.PASS
    shown = Verdict.UNKNOWN if holds and not named else verdict
    signature = event.signature and {**event.signature.as_json(), "verdict": str(shown)}
    more = {"tag": tag, "verdict": str(shown), "holds": holds, "at_tag": quote(tag, safe=""), "signature": signature}
    return {**event.as_json(), **more}
