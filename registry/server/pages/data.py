"""The page of the data: what a model was trained on, by source and by licence; what was left out; from signed records.

Law: what is counted is what the signed summary counts. A part that it does not have is a gap, and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from registry.catalog.entry import ReleaseEntry
from registry.errors import GlasshouseError
from registry.records import layout
from registry.records.data_manifest import Summary
from registry.server.pages import asked, release
from registry.server.pages.answered import Page
from registry.server.pages.sites import Site

MAX_PARTS = 100
"""Sources, and licences, that a page shows: the largest."""
COLOURS = 7
"""Parts of a picture that have a colour of their own; the rest is one part."""
WIDE = 1000
REST = "everything else"
DOCUMENTS: Mapping[str, str] = {
    layout.TRAINING_PAGE: "Public summary of training content, by the template of the EU",
    layout.TRAINING_SUMMARY: "The same summary as JSON",
    layout.DATA_CARD: "Data card",
    layout.CROISSANT: "Croissant",
}
"""What a release says of its data in documents of others' forms, and what each is called."""
Counted = tuple[str, str, int, int]
"""(name, licence, documents, bytes)."""


def told(site: Site, request: Request) -> Page:
    """GET /{owner}/{name}/data/{revision}."""
    place = asked.place(site, request)
    known = place.release(site)
    data, gap = None, None
    try:
        with site.turn():
            data = _data(known.entry)
    except GlasshouseError as problem:
        gap = problem.message
    documents = [{"path": path, "title": title} for path, title in DOCUMENTS.items() if path in known.entry.listed]
    facts = {
        **release.about(place), **release.judged(site, place, known), "data": data, "gap": gap, "documents": documents,
    }  # fmt: skip
    pictures = {key: picture(data[key], data["used"]["bytes"]) for key in ("sources", "licenses")} if data else {}
    more = {
        "title": f"Data of {place.repo.name} {place.revision}", "tab": "data", "pictures": pictures,
        "files_at": f"{place.address}/resolve/{place.shelf.commit}/",
        "search": layout.SEARCH in known.entry.listed and str(place.shelf.reference),
    }  # fmt: skip
    return Page("data.html", facts, more)


def _data(entry: ReleaseEntry) -> dict[str, Any]:
    """What the data is made of: by source and by licence, each with its part of the bytes; what was left out."""
    summary = Summary.from_bytes(entry.read(layout.DATA_SUMMARY), name=layout.DATA_SUMMARY)
    splits = {"train": summary.splits.train, "validation": summary.splits.validation}
    used = sum(each.size for each in splits.values())
    sources = [(each.id, each.license or "by document", each.documents, each.size) for each in summary.sources]
    licences = [(name, "", each.documents, each.size) for name, each in summary.licenses.items()]
    return {
        "documents": summary.rows, "bytes": summary.size, "root": summary.root,
        "excluded": {str(reason): number for reason, number in summary.excluded.items()},
        "splits": {name: {"documents": each.documents, "bytes": each.size} for name, each in splits.items()},
        "used": {"documents": sum(each.documents for each in splits.values()), "bytes": used},
        "sources": _parts(sources, used), "licenses": _parts(licences, used),
    }  # fmt: skip


def _parts(rows: list[Counted], whole: int) -> list[dict[str, Any]]:
    """The largest of them, each with its part of all bytes in percent."""
    rows = sorted(rows, key=lambda row: (-row[3], row[0]))[:MAX_PARTS]
    return [
        {"name": name, "license": licence, "documents": documents, "bytes": size,
         "percent": round(100 * size / (whole or 1), 1)}
        for name, licence, documents, size in rows
    ]  # fmt: skip


def picture(parts: list[dict[str, Any]], whole: int) -> list[dict[str, Any]]:
    """The parts of a bar WIDE long, from its left: where each begins, how wide it is, and which colour it has."""
    shown = [(part["name"], part["bytes"]) for part in parts[:COLOURS] if part["bytes"]]
    rest = whole - sum(size for _, size in shown)
    shown += [(REST, rest)] if rest > 0 else []
    found, left = [], 0.0
    for number, (name, size) in enumerate(shown):
        wide = WIDE * size / whole
        percent = round(100 * size / whole, 1)
        found.append({"name": name, "x": round(left, 2), "wide": round(wide, 2), "percent": percent, "colour": number})
        left += wide
    return found
