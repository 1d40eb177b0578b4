"""The page of the audits: who built a release anew, or trained parts of it again, on what, and what came out."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

from starlette.requests import Request

from registry.attest.audits import Replay
from registry.attest.predicates import Rebuild
from registry.catalog import history
from registry.catalog.history import Event
from registry.errors import GlasshouseError, VerificationError
from registry.server.pages import asked, marks, release
from registry.server.pages.answered import Page
from registry.server.pages.expected import Expected
from registry.server.pages.sites import Site

MAX_SHOWN = 500
"""Audits that a page shows, the newest."""


def told(site: Site, request: Request) -> Page:
    """GET /{owner}/{name}/audits/{revision}: the newest first."""
    place = asked.place(site, request)
    known = place.release(site)
    with site.turn():
        events = history.events([known.entry])[::-1]
        mark = _rebuilt(known)
    rows = [row for event in events if (row := audit(event, known.named)) is not None]
    facts = {
        **release.about(place), **release.judged(site, place, known), "audits": rows[:MAX_SHOWN],
        "more": max(0, len(rows) - MAX_SHOWN), "rebuilt": mark and mark.as_json(),
        "unread": [event.words for event in events if event.what == "unread"],
        "auditorsExpected": bool(known.named and known.policy and known.policy.rebuilders),
    }  # fmt: skip
    return Page("audits.html", facts, {"title": f"Audits of {place.repo.name} {place.revision}", "tab": "audits"})


def audit(event: Event, named: bool) -> dict[str, Any] | None:
    """What a rebuild or a replay says; None for another event. named: whether the operator says whose word counts."""
    said = event.predicate
    match said:
        case Rebuild():
            outcomes = Counter[str](each.verdict for each in said.outputs or ())
            counted = {"outputs": sum(outcomes.values()), "outcomes": dict(sorted(outcomes.items()))}
            commit, started = said.source, said.started_at
        case Replay():
            outcomes = Counter[str](each.verdict for each in said.replayed)
            counted = {"segments": said.challenge.segments, "outcomes": dict(sorted(outcomes.items()))}
            commit, started = said.source, said.started_at
        case _:
            return None
    holds = event.signature is not None and event.signature.verified is not None
    return {
        "what": event.what, "verdict": said.verdict, "reason": said.reason, "machine": said.machine,
        "profile": said.profile, "environment": said.environment, "walled": said.walled, "commit": commit,
        "startedAt": started, "finishedAt": said.finished_at, "tolerance": said.tolerance, **counted,
        "auditor": event.signature and event.signature.words, "byWhomIsExpected": holds and named,
    }  # fmt: skip


def _rebuilt(known: Expected) -> marks.Mark | None:
    """How often it was rebuilt, by whom the operator named."""
    with suppress(GlasshouseError):
        try:
            return marks.rebuilt_of(known.entry.rebuilt, differs=False)
        except VerificationError:
            return marks.rebuilt_of(None, differs=True)
    return None
