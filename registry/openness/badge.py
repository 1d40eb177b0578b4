"""A badge: two words beside each other, as a picture for a README; and the one that says how open a model is."""

from __future__ import annotations

from html import escape
from typing import Literal

from registry.openness.framework import TITLES
from registry.records.openness_record import OpennessClass

Tone = Literal["good", "seen", "plain", "warn", "bad"]
"""How grave a word is, from good to bad."""
COLOURS: dict[Tone, str] = {
    "good": "#0b6b3a",
    "seen": "#0b5394",
    "plain": "#52615e",
    "warn": "#7a4b00",
    "bad": "#a4121f",
}
"""Each carries white text with a contrast above 4.5."""
HIGH, LETTER, ROOM = 20, 6.6, 16
"""Pixels: the height, about the width of a letter, and the room around a word."""
LEFT = "openness"


def of_class(reached: OpennessClass | None, *, doubt: str | None = None, fault: str | None = None) -> str:
    """How open a model is, as SVG.

    doubt: what stands beside the class, such as that nobody knows who signed it.  fault: what stands there instead.
    """
    if fault is not None:
        return drawn(LEFT, fault, "bad")
    word = f"{reached} {TITLES[reached]}" if reached else "no class"
    if doubt is not None:
        return drawn(LEFT, f"{word}, {doubt}", "plain")
    return drawn(LEFT, word, "good" if reached else "plain")


def drawn(left: str, right: str, tone: Tone) -> str:
    """`left` beside `right`, in the colour of how grave it is, as SVG."""
    first, second = (round(len(text) * LETTER + ROOM) for text in (left, right))
    wide, label = first + second, escape(f"{left}: {right}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{HIGH}" role="img" aria-label="{label}">'
        f'<title>{label}</title><clipPath id="r"><rect width="{wide}" height="{HIGH}" rx="4"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{first}" height="{HIGH}" fill="#24302d"/>'
        f'<rect x="{first}" width="{second}" height="{HIGH}" fill="{COLOURS[tone]}"/></g>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{first / 2}" y="14">{escape(left)}</text>'
        f'<text x="{first + second / 2}" y="14">{escape(right)}</text>'
        "</g></svg>\n"
    )
