"""The page of a training: how the loss went, and what was measured; from signed records."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from starlette.requests import Request

from registry import canonical
from registry.catalog.entry import ReleaseEntry
from registry.catalog.figures import figures_of
from registry.errors import GlasshouseError
from registry.records import layout
from registry.server.pages import asked, release
from registry.server.pages.answered import Page
from registry.server.pages.sites import Site

MAX_METRICS = 16 << 20
"""Bytes of the file of metrics that is read."""
MAX_POINTS = 400
"""Points of a curve that is drawn."""
MAX_FIGURES = 200
WIDE, HIGH, EDGE = 720, 270, 64
"""The picture, and the room for its axes, in pixels."""
Points = list[tuple[float, float]]


def told(site: Site, request: Request) -> Page:
    """GET /{owner}/{name}/training/{revision}."""
    place = asked.place(site, request)
    known = place.release(site)
    gaps: list[str] = []
    with site.turn():
        points = _read(gaps, _losses, known.entry) or []
        figures = _read(gaps, figures_of, known.entry) or {}
    facts = {
        **release.about(place), **release.judged(site, place, known), "loss": [list(point) for point in points],
        "figures": dict(list(figures.items())[:MAX_FIGURES]), "gaps": gaps,
    }  # fmt: skip
    more = {"title": f"Training of {place.repo.name} {place.revision}", "tab": "training", "curve": curve(points)}
    return Page("training.html", facts, more)


def _read(gaps: list[str], question: Any, entry: ReleaseEntry) -> Any:
    """What `question` finds in the release; None, and a word among the gaps, where it finds nothing."""
    try:
        return question(entry)
    except GlasshouseError as problem:
        gaps.append(problem.message)
        return None


def _losses(entry: ReleaseEntry) -> Points:
    """(step, loss) of at most MAX_POINTS steps, evenly chosen, the last of them too."""
    lines = entry.read(layout.METRICS, MAX_METRICS).splitlines()
    every = max(1, -(-len(lines) // MAX_POINTS))
    chosen = [*lines[::every], *(lines[-1:] if (len(lines) - 1) % every else [])]
    found = []
    for line in chosen:
        row = canonical.parse(line, name=layout.METRICS)
        step, loss = (row.get("step"), row.get("loss")) if isinstance(row, dict) else (None, None)
        if _number(step) and _number(loss):
            found.append((float(step), float(loss)))
    return sorted(found)


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 and math.isfinite(value)


def curve(points: Points) -> dict[str, Any] | None:
    """What is drawn of the loss: the line, and what stands at the axes; None for less than two points."""
    if len(points) < 2:
        return None
    steps, losses = zip(*points, strict=True)
    left, right, low, high = min(steps), max(steps), min(losses), max(losses)
    across, down = (right - left) or 1.0, (high - low) or 1.0

    def at(step: float, loss: float) -> str:
        x = EDGE + (step - left) / across * (WIDE - 2 * EDGE)
        y = EDGE / 2 + (high - loss) / down * (HIGH - 1.5 * EDGE)
        return f"{x:.1f},{y:.1f}"

    return {
        "line": " ".join(at(*point) for point in points), "wide": WIDE, "high": HIGH, "edge": EDGE,
        "low": f"{low:.4g}", "top": f"{high:.4g}", "first": f"{left:g}",
        "last": f"{right:g}", "end": f"{losses[-1]:.4g}",
    }  # fmt: skip
