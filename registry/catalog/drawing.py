"""A lineage, drawn: as a tree for a terminal, as DOT for Graphviz, as a picture (SVG) for a page.

Labels come from releases that anybody may have written: each form escapes what means something in it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from html import escape

from registry.catalog.lineage import Graph, Node, outline

MAX_LABEL = 48
MAX_DEPTH = 40
SHAPES = {
    "release": "doubleoctagon", "weights": "box3d", "stage": "box", "file": "note", "data": "cylinder",
    "source": "folder", "commit": "component", "companion": "tab", "base": "box3d",
}  # fmt: skip
"""Graphviz' shape for each kind of node."""
WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 250, 46, 70, 18, 20
"""The size of a node, and the room between nodes, in pixels."""
STYLE = """
svg{font:13px system-ui,sans-serif;--bg:#ffffff;--line:#8c959f}
.stage rect{fill:#ddf4ff}.weights rect,.release rect{fill:#dafbe1}.data rect,.source rect{fill:#fff8c5}
.file rect,.commit rect,.companion rect,.base rect{fill:#f6f8fa}
rect{stroke:var(--line)}text{fill:#1b1f24}.note{fill:#424a53;font-size:11px}path{fill:none;stroke:var(--line)}
.paper{fill:var(--bg);stroke:none}
@media(prefers-color-scheme:dark){svg{--bg:#0d1117;--line:#6e7681}}
"""


def short(text: str, most: int = MAX_LABEL) -> str:
    """`text` in one line of at most `most` characters, its middle left out where it is longer."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if len(plain) <= most:
        return plain
    half = (most - 1) // 2
    return f"{plain[:half]}…{plain[-half:]}"


def tree(graph: Graph) -> Iterator[str]:
    """Lines of a tree from the release down to its sources. What stands there already is named, and not drawn again."""
    drawn: set[str] = set()
    commits = {name for name, node in graph.nodes.items() if node.kind == "commit"}  # each stage has it: told once

    def below(name: str, lead: str, depth: int) -> Iterator[str]:
        origins = [each for each in graph.origins.get(name, ()) if each not in drawn or each not in commits]
        for number, origin in enumerate(origins):
            last = number == len(origins) - 1
            node, again = graph.nodes[origin], origin in drawn
            drawn.add(origin)
            more = " (above)" if again and graph.origins.get(origin) else ""
            yield f"{lead}{'└─ ' if last else '├─ '}{_line(node)}{more}"
            if not again and depth < MAX_DEPTH:
                yield from below(origin, f"{lead}{'   ' if last else '│  '}", depth + 1)

    yield _line(graph.nodes[graph.root])
    yield from below(graph.root, "", 1)
    yield from (f"? {short(gap, 200)}" for gap in graph.gaps)


def _line(node: Node) -> str:
    words = "" if node.kind == "release" else f"{node.kind} "
    digest = f"  {node.digest[:12]}" if node.digest else ""
    note = f"  ({short(node.note, 80)})" if node.note else ""
    return f"{words}{short(node.label, 80)}{digest}{note}"


def dot(graph: Graph) -> str:
    """The graph in Graphviz' language; what came from what points to it."""
    names = {name: f"n{number}" for number, name in enumerate(graph.nodes)}
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    for name, node in graph.nodes.items():
        label = json.dumps("\n".join(_words(node)), ensure_ascii=False)
        lines.append(f"  {names[name]} [label={label}, shape={SHAPES[node.kind]}];")
    lines += [f"  {names[origin]} -> {names[what]};" for what, origin in graph.edges]
    return "\n".join([*lines, "}", ""])


def _words(node: Node) -> list[str]:
    """A node's name, and what there is to say of it, in two lines."""
    more = node.note or (node.digest[:16] if node.digest else "")
    return [short(f"{node.kind}: {node.label}"), *([short(more)] if more else [])]


def layers(graph: Graph) -> list[list[str]]:
    """Nodes in columns, from the sources to the release: each stands to the right of everything that it came from.

    A circle, which no honest lineage has, is cut where it closes.
    """
    depth: dict[str, int] = {}
    for start in graph.nodes:
        stack, waiting = [(start, iter(graph.origins.get(start, ())))], {start}
        while stack:
            name, rest = stack[-1]
            following = next((each for each in rest if each not in depth and each not in waiting), None)
            if following is not None:
                waiting.add(following)
                stack.append((following, iter(graph.origins.get(following, ()))))
                continue
            stack.pop()
            waiting.discard(name)
            depth[name] = 1 + max((depth[each] for each in graph.origins.get(name, ()) if each in depth), default=-1)
    columns: dict[int, list[str]] = defaultdict(list)
    for name in graph.nodes:
        columns[depth[name]].append(name)
    return [columns[number] for number in sorted(columns)]


def svg(graph: Graph, *, style: str = STYLE, link: Callable[[Node], str | None] = lambda node: None) -> str:
    """The outline of the graph as a picture: no script, no font and no address from elsewhere; light and dark.

    style: its own; nothing, where a page has one for it.  link: where the box of a node leads; None: nowhere.
    """
    graph = outline(graph)
    columns, lines = _routed(graph)
    tall = max(sum(_high(graph, name) for name in column) + DOWN * (len(column) - 1) for column in columns)
    wide, high = EDGE * 2 + len(columns) * (WIDTH + ACROSS) - ACROSS, EDGE * 2 + tall
    at: dict[str, tuple[int, int]] = {}
    for number, column in enumerate(columns):
        y = EDGE + (tall - sum(_high(graph, name) for name in column) - DOWN * (len(column) - 1)) // 2
        for name in _untangled(column, lines, at):
            at[name] = EDGE + number * (WIDTH + ACROSS), y
            y += _high(graph, name) + DOWN
    title = escape(short(f"What {graph.nodes[graph.root].label} came from", 200))
    role = "group" if any(map(link, graph.nodes.values())) else "img"  # a picture has no parts to go to
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'role="{role}" aria-label="{title}">',
        f"<title>{title}</title>" + (f"<style>{style}</style>" if style else ""),
        f'<rect class="paper" width="{wide}" height="{high}"/>',
    ]
    parts += [_curve(graph, at, origin, what) for what, origin in lines]
    parts += [
        _box(graph.nodes[name], *place, link(graph.nodes[name])) for name, place in at.items() if name in graph.nodes
    ]
    return "\n".join([*parts, "</svg>", ""])


def _routed(graph: Graph) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """The columns, with a bend in each that an edge passes, and the edges from column to column: (what, from what)."""
    columns = layers(graph)
    place = {name: number for number, column in enumerate(columns) for name in column}
    lines: list[tuple[str, str]] = []
    for what, origin in graph.edges:
        before = origin
        for number in range(place[origin] + 1, place[what]):
            bend = f"{origin} > {what} at {number}"
            columns[number].append(bend)
            lines.append((bend, before))
            before = bend
        lines.append((what, before))
    return columns, lines


def _high(graph: Graph, name: str) -> int:
    return HEIGHT if name in graph.nodes else 0


def _untangled(column: list[str], lines: list[tuple[str, str]], at: dict[str, tuple[int, int]]) -> list[str]:
    """A column, each of it near the middle of what it came from."""

    def middle(name: str) -> float:
        found = [at[origin][1] for what, origin in lines if what == name and origin in at]
        return sum(found) / len(found) if found else 0.0

    return sorted(column, key=middle)


def _curve(graph: Graph, at: dict[str, tuple[int, int]], origin: str, what: str) -> str:
    x1, y1 = at[origin][0] + WIDTH, at[origin][1] + _high(graph, origin) // 2
    x2, y2 = at[what][0], at[what][1] + _high(graph, what) // 2
    bend = (x1 + x2) // 2
    on = f"H{x2 + WIDTH}" if what not in graph.nodes else ""
    return f'<path d="M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}{on}"/>'


def _box(node: Node, x: int, y: int, address: str | None) -> str:
    first, *rest = (escape(short(line, 30)) for line in _words(node))
    whole = escape(" ".join(filter(None, (node.kind, node.label, node.digest, node.note)))[:500], quote=False)
    whole = "".join(c if c.isprintable() else " " for c in whole)
    more = "".join(f'<text class="note" x="{x + 10}" y="{y + 36}">{line}</text>' for line in rest)
    box = (
        f'<g class="{node.kind}"><title>{whole}</title>'
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x + 10}" y="{y + 19}">{first}</text>{more}</g>'
    )
    return f'<a href="{escape(address)}">{box}</a>' if address else box
