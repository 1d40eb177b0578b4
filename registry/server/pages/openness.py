"""How open a release is, by its signed record: for programs, and as a badge.

Law: what is told is what the record says that the release statement lists, and beside it who signed that. Whether its
files show it, `glasshouse openness` and `glasshouse verify` tell.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from registry.errors import GlasshouseError
from registry.openness import badge
from registry.records import layout
from registry.records.openness_record import OpennessRecord
from registry.report import Verdict
from registry.server.pages import asked, release
from registry.server.pages.answered import HEADERS
from registry.server.pages.asked import AskedFor
from registry.server.pages.expected import Expected
from registry.server.pages.sites import Site
from registry.server.problems import Problem


def told(site: Site, request: Request) -> Response:
    """GET /{owner}/{name}/openness/{revision}: JSON, whatever is asked for."""
    place = asked.place(site, request)
    known = place.release(site)
    with site.turn():
        record = _record(place, known)
    facts = {**release.about(place), **release.judged(site, place, known), "openness": record.as_json()}
    return JSONResponse(facts, headers=HEADERS)


def picture(site: Site, request: Request) -> Response:
    """GET /{owner}/{name}/openness.svg, of the newest release."""
    place = asked.place(site, request)
    known = place.release(site)
    with site.turn():
        record = _record(place, known)
    match known.verdict:
        case Verdict.PASS:
            text = badge.of_class(record.reached)
        case Verdict.FAIL:
            text = badge.of_class(record.reached, fault="signature fails")
        case Verdict.UNKNOWN:
            text = badge.of_class(record.reached, doubt="signer not known")
    headers = {**HEADERS, "Cache-Control": "no-cache, max-age=0"}
    return Response(text, headers=headers, media_type="image/svg+xml")


def _record(place: AskedFor, known: Expected) -> OpennessRecord:
    try:
        return OpennessRecord.from_bytes(known.entry.read(layout.OPENNESS), name=layout.OPENNESS)
    except GlasshouseError as problem:
        words = f"{place.repo.name} at {place.revision} does not say how open it is: {problem.message}"
        raise Problem(404, words) from problem
