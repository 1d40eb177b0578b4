"""The picture of docs/ and README.md: data -> stages -> statements -> steps, by the names that the code has for them.

It carries its own ground and both its colours, light and dark, so it can be read wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import yaml

from registry.provenance.claims import CLAIMS
from registry.records import layout
from registry.verification.case import STEPS
from tests.conftest import ROOT

WIDTH, MARGIN, GAP = 560, 28, 8
CHIP, LETTER = 30, 9.1
"""The height of a chip, and the width of a letter in it: 15 pixels of a monospaced font."""
HEADING, CAPTION, BETWEEN = 30, 24, 58
"""How far down a line of text goes; and the space for an arrow between two bands."""
WORDS = [f"{step} {step.word}" for step in STEPS]
"""The steps of verification, as its report writes them."""

STYLE = """
    svg { --ground: #ffffff; --ink: #16202c; --soft: #56636f; --line: #d5dde5; --wash: #f2f6f9; --glass: #0f766e }
    @media (prefers-color-scheme: dark) {
      svg { --ground: #10161d; --ink: #e8eef4; --soft: #9fb0bf; --line: #344250; --wash: #1a232d; --glass: #5eead4 }
    }
    text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--soft); font-size: 15px }
    .heading { fill: var(--ink); font-size: 21px; font-weight: 700 }
    .name, .command { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace }
    .name { fill: var(--ink); text-anchor: middle }
    .command { fill: var(--glass); font-weight: 600 }
    .ground { fill: var(--ground); stroke: var(--line) }
    .chip { fill: var(--wash); stroke: var(--line) }
    .arrow { fill: none; stroke: var(--glass); stroke-width: 2.5; stroke-linecap: round; stroke-linejoin: round }
"""


@dataclass(frozen=True)
class Band:
    """One row of the picture.  names: what there is.  done: who goes on from here, and by which command."""

    heading: str
    caption: str
    names: Sequence[str]
    done: tuple[str, str] | None = None


def bands() -> tuple[Band, ...]:
    """What the picture shows, from top to bottom."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_bytes())["stages"]
    statements = (*CLAIMS, f"{layout.STAGE}NAME", "release", layout.SIGNATURE)
    return (
        Band(
            "Data",
            "documents, each with its origin, licence and SHA-256",
            ("documents", "licences", "Merkle root"),
            ("the builder", "dvc repro"),
        ),
        Band(
            "Stages",
            "each is measured: what it read, what it wrote",
            tuple(stages),
            ("the maintainer", "glasshouse release cut"),
        ),
        Band(
            "Statements",
            "signed, and published with the weights",
            statements,
            ("the auditor", "glasshouse verify"),
        ),
        Band(
            "Steps",
            "each answers PASS, FAIL or UNKNOWN",
            WORDS,
        ),
    )


def picture() -> str:
    """docs/assets/picture.svg."""
    shown = bands()
    drawn, y = [], float(MARGIN)
    for band in shown:
        lines, y = _band(band, y)
        drawn += lines
    height = round(y + MARGIN)
    words = "; ".join(f"{band.heading}: {', '.join(band.names)}" for band in shown)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img">\n  <title>From data to stages to statements to steps</title>\n  <desc>{escape(words)}</desc>\n'
        f'  <style>{STYLE}  </style>\n  <rect class="ground" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}"'
        ' rx="16"/>\n'
    )
    return head + "".join(f"  {line}\n" for line in drawn) + "</svg>\n"


def _band(band: Band, y: float) -> tuple[list[str], float]:
    """What draws `band` from `y` down, and where it ends."""
    lines = [_text("heading", MARGIN, y + 18, band.heading), _text("caption", MARGIN, y + 18 + CAPTION, band.caption)]
    y += HEADING + CAPTION
    for x, below, name in _chips(band.names):
        wide = _wide(name)
        lines.append(f'<rect class="chip" x="{x:.0f}" y="{y + below:.0f}" width="{wide:.0f}" height="{CHIP}" rx="7"/>')
        lines.append(_text("name", x + wide / 2, y + below + 20, name))
    y += max(below for _, below, _ in _chips(band.names)) + CHIP
    if band.done:
        who, command = band.done
        x, top, tip = MARGIN + 10, y + 11, y + BETWEEN - 11
        lines.append(f'<path class="arrow" d="M{x} {top:.0f}V{tip:.0f}m-6 -7 6 7 6-7"/>')
        lines.append(_text("command", x + 20, y + 33, command))
        lines.append(_text("who", x + 20 + len(command) * LETTER + 12, y + 33, who))
        y += BETWEEN
    return lines, y


def _chips(names: Sequence[str]) -> Iterator[tuple[float, float, str]]:
    """(x, y below the first row, name) of each chip; a row that is full is followed by another."""
    x, below = float(MARGIN), 0.0
    for name in names:
        if x + _wide(name) > WIDTH - MARGIN:
            x, below = float(MARGIN), below + CHIP + GAP
        yield x, below, name
        x += _wide(name) + GAP


def _wide(name: str) -> float:
    return round(len(name) * LETTER + 22)


def _text(kind: str, x: float, y: float, words: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{escape(words)}</text>'
