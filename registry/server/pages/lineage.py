"""The page of a lineage: what a release came from, as a picture whose boxes lead to what is known of each thing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from registry.catalog import drawing
from registry.catalog import lineage as lineages
from registry.catalog.lineage import Graph, Node
from registry.server.pages import asked, release
from registry.server.pages.answered import HEADERS, Page
from registry.server.pages.sites import Site
from registry.server.problems import Problem

MAX_SHOWN = 400
"""Things that are told one by one."""
MAX_DRAWN = 120
"""Things up to which there is a picture."""
MAX_OUTLINED = 1_000
"""Things, files between stages too, up to which a picture is thought of."""
STYLE_DIGEST = base64.b64encode(hashlib.sha256(drawing.STYLE.encode()).digest()).decode()
"""What lets the picture have its own style, and no other."""


def told(site: Site, request: Request) -> Page:
    """GET /{owner}/{name}/lineage/{revision}."""
    place = asked.place(site, request)
    known = place.release(site)
    with site.turn():
        graph = lineages.graph(known.entry)
        outline = lineages.outline(graph) if drawable(graph) else graph
        drawn = outline is not graph and len(outline.nodes) <= MAX_DRAWN
    listed = [*outline.nodes, *(name for name in graph.nodes if name not in outline.nodes)][:MAX_SHOWN]
    anchors = {name: f"thing-{number}" for number, name in enumerate(listed)}
    facts = {**release.about(place), **release.judged(site, place, known), "graph": graph.as_json()}
    more = {
        "title": f"Lineage of {place.repo.name} {place.revision}", "tab": "lineage", "anchors": anchors,
        "things": [(anchors[name], graph.nodes[name], _beside(graph, name, anchors)) for name in listed],
        "picture": drawing.svg(graph, style="", link=_leads(anchors)) if drawn else None,
        "left_out": len(graph.nodes) - len(listed),
    }  # fmt: skip
    return Page("lineage.html", facts, more)


def picture(site: Site, request: Request) -> Response:
    """GET /{owner}/{name}/lineage/{revision}/picture.svg: the picture alone, for documents."""
    known = asked.place(site, request).release(site)
    with site.turn():
        graph = lineages.graph(known.entry)
    if not drawable(graph):
        raise Problem(404, "there is too much of it for a picture")
    headers = {**HEADERS, "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_DIGEST}'"}
    return Response(drawing.svg(graph), headers=headers, media_type="image/svg+xml")


def drawable(graph: Graph) -> bool:
    """Whether there is so little of it that a picture is made in a moment."""
    return len(graph.nodes) <= MAX_OUTLINED and len(graph.edges) <= 5 * MAX_OUTLINED


def _leads(anchors: dict[str, str]) -> Callable[[Node], str | None]:
    def link(node: Node) -> str | None:
        return f"#{anchors[node.id]}" if node.id in anchors else None

    return link


def _beside(graph: Graph, name: str, anchors: dict[str, str]) -> list[tuple[str | None, str]]:
    """What a thing came from: (anchor, label)."""
    return [(anchors.get(origin), graph.nodes[origin].label) for origin in graph.origins.get(name, ())][:50]
