"""The page of a verification: what this server found, step by step, and the way to have it look again."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from registry.server.pages import asked, release
from registry.server.pages.answered import Page
from registry.server.pages.sites import Site
from registry.server.routes import asking

QUESTIONS = (
    "Is it safe to look at?",
    "Which commit was read?",
    "Is each file the one that was signed?",
    "Does each signature hold, by the expected signer?",
    "Is every attestation there?",
    "Is there no gap back to the data?",
    "Does it fit the policy?",
    "Does it still stand?",
)
"""What each step asks, by its number."""


def found(site: Site, request: Request) -> Page:
    """GET /{owner}/{name}/verification/{revision}: what `glasshouse verify` says of it here."""
    place = asked.place(site, request)
    known = place.release(site)
    pending = site.checker.pending(place.shelf)  # asked first: where it no longer waits, the report is there to be read
    report, current = site.checker.report(place.shelf), site.checker.current(place.shelf, known)
    told: dict[str, Any] | None = None
    if report is not None:
        made = report.as_json()
        told = {
            **made,
            "verdict": str(report.established),
            "found": str(report.verdict),
            "steps": [_step(line, made["checks"]) for line in made["steps"]],
            "current": current is not None,
        }
    facts = {
        **release.about(place), **release.judged(site, place, known),
        "report": told, "pending": pending,
    }  # fmt: skip
    shown = {
        "title": f"Verification of {place.repo.name} {place.revision}",
        "tab": "verification",
        "origin": asking.base_url(request),
    }
    return Page("verification.html", facts, shown)


def check_again(site: Site, request: Request, fields: dict[str, str]) -> Response:
    """POST /{owner}/{name}/verification/{revision}: verify it, as soon as it is its turn."""
    place = asked.place(site, request)
    place.release(site)
    site.checker.ask(place.shelf)
    return RedirectResponse(request.url.path, 303)


def _step(line: dict[str, Any], checks: list[dict[str, Any]]) -> dict[str, Any]:
    """A step with its question and its checks."""
    number = line["step"]
    return {**line, "question": QUESTIONS[number], "checks": [check for check in checks if check["step"] == number]}
