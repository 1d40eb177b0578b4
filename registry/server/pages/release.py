"""The page of a repository: its newest release, or the one that is asked for; the card, the files, how to verify it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from registry.errors import GlasshouseError
from registry.hub.metadata import after_front_matter
from registry.records import layout
from registry.server import names
from registry.server.access import rights
from registry.server.pages import asked, card, marks, snapshots
from registry.server.pages.answered import Page
from registry.server.pages.asked import AskedFor
from registry.server.pages.expected import Expected
from registry.server.pages.index import class_of
from registry.server.pages.sites import Site
from registry.server.routes import asking
from registry.server.store.facts import front_of
from registry.server.store.gates import AccessGate
from registry.server.store.objects import TreeRow
from registry.server.store.repository import Repository

MAX_FILES = 1_000
"""Files that a page shows."""
MAX_TEXT = 64 << 10
"""Bytes of a card that is shown as text."""
MAX_READ = 2 << 20


def shown(site: Site, request: Request) -> Page:
    """GET /{owner}/{name} and /{owner}/{name}/tree/{revision}."""
    place = asked.place(site, request)
    rows = snapshots.files(place.repo.folder, place.shelf.commit)
    known, why = _known(site, place, rows)
    text, front = _card(site, place)
    facts: dict[str, Any] = {
        **about(place),
        "signed": known is not None,
        "why": why,
        "files": [_file(row, known) for row in rows[:MAX_FILES]],
        "fileCount": len(rows),
        "bytes": sum(row.size for row in rows),
        "task": front.get("pipeline_tag") if isinstance(front.get("pipeline_tag"), str) else None,
    }
    if known is not None:
        facts |= _signed(site, place, known)
    elif place.repo.name.kind == "models":
        facts["marks"] = [marks.UNSIGNED.as_json()]
    files = f"{place.address}/resolve/{place.shelf.commit}/"
    html = card.rendered(text) if text is not None else None
    more = {
        "title": str(place.repo.name), "card": card.placed(html, files) if html is not None else None,
        "plain": text[:MAX_TEXT] if text is not None and html is None else None, "files_at": files, "tab": "release",
        "private": place.repo.private, "requests": _waiting(request, place.repo),
    }  # fmt: skip
    return Page("release.html", facts, more)


def blob(site: Site, request: Request) -> Response:
    """GET /{owner}/{name}/blob/{revision}/{path}: the file itself."""
    place = asked.place(site, request)
    path = names.file_path(request.path_params["path"])
    return RedirectResponse(f"{place.address}/resolve/{quote(place.revision, safe='')}/{quote(path)}", 302)


def _waiting(request: Request, repo: Repository) -> int | None:
    """How many wait for an answer at the gate; None without one, and for who cannot answer."""
    user = asking.user(request)
    if repo.gated is None or user is None or not rights.may_write(user, repo):
        return None
    return len(AccessGate(repo).asked("pending"))


def _mirrored(repo: Repository) -> dict[str, Any] | None:
    """Whose copy it is, and how many seconds ago that was asked; None for what is not a copy."""
    upstream = repo.upstream
    return {"of": upstream, "age": max(0, int(time.time() - repo.asked))} if upstream is not None else None


def about(place: AskedFor) -> dict[str, Any]:
    """What every page of a repository says of it."""
    return {
        "id": str(place.repo.name), "kind": place.repo.name.kind, "address": place.address,
        "revision": place.revision, "commit": place.shelf.commit, "versions": list(place.tags), "marks": [],
        "mirror": _mirrored(place.repo),
    }  # fmt: skip


def judged(site: Site, place: AskedFor, known: Expected) -> dict[str, Any]:
    """What is said of the release in a word or two, and by whom."""
    entry = known.entry
    newest = _newest(known)
    standing = marks.standing_of(newest.status.standing if newest else None)
    report = site.checker.current(place.shelf, known)
    holds = entry.signature.verified is not None
    mark = marks.signature_of(holds, known.named, report)
    openness = marks.openness_of(class_of(entry), holds, known.named)
    verdict, words = _standing(known)
    return {
        "marks": [each.as_json() for each in (standing, mark, openness) if each is not None],
        "signature": {**entry.signature.as_json(), "verdict": str(known.verdict)},
        "signer": known.signer.as_json() if known.signer else None,
        "signerName": known.signer.name if known.signer else None,
        "signerExpected": known.named,
        "standing": {
            "verdict": verdict, "words": words, "word": newest.status.standing if newest else None,
            "reason": newest.status.reason if newest else None, "severity": newest.status.severity if newest else None,
            "successor": newest.status.successor if newest else None,
        },
        "verify": known.command,
    }  # fmt: skip


def _signed(site: Site, place: AskedFor, known: Expected) -> dict[str, Any]:
    entry = known.entry
    facts = {**judged(site, place, known), "name": entry.name, "content": entry.subject.sha256,
             "source": entry.release.source.as_json(), "record": None}  # fmt: skip
    try:
        facts["record"] = entry.record.as_json()
    except GlasshouseError as problem:
        facts["why"] = problem.message
    return facts


def _known(site: Site, place: AskedFor, rows: Sequence[TreeRow]) -> tuple[Expected | None, str | None]:
    """The release, or why there is none."""
    if all(row.path != layout.RELEASE_ATTESTATION for row in rows):
        return None, None
    try:
        return site.release(place.shelf), None
    except GlasshouseError as problem:
        return None, problem.message


def _newest(known: Expected) -> Any:
    try:
        return known.entry.newest
    except GlasshouseError:
        return None


def _standing(known: Expected) -> tuple[str, str]:
    try:
        verdict, words = known.entry.standing
    except GlasshouseError as problem:
        return "UNKNOWN", problem.message
    return str(verdict), words


def _file(row: TreeRow, known: Expected | None) -> dict[str, Any]:
    """A file: its SHA-256 where the store has it, or where it is signed; `signed` says what the signer listed."""
    signed = known.entry.listed.get(row.path) if known else None
    return {"path": row.path, "size": row.size, "sha256": row.sha256 or signed, "signed": signed is not None,
            "differs": signed is not None and row.sha256 is not None and signed != row.sha256}  # fmt: skip


def _card(site: Site, place: AskedFor) -> tuple[str | None, dict[str, Any]]:
    """The card's text and what stands before it; None and nothing where there is none."""
    try:
        data = place.shelf.head(layout.CARD, MAX_READ)
    except GlasshouseError:
        return None, {}
    return after_front_matter(data).decode("utf-8", "replace"), front_of(data)
