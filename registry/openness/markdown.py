"""Texts of others, as they can stand in Markdown of ours."""

from __future__ import annotations

MAX_CELL = 300


def line(text: str, most: int = MAX_CELL) -> str:
    """`text` on one line of at most `most` characters, without what would end a code span."""
    return " ".join(text.split()).replace("`", "'")[:most]


def cell(text: str, most: int = MAX_CELL) -> str:
    """`text` as it can stand in a table: on one line, neither a bar nor HTML."""
    return line(text, most).replace("|", "\\|").replace("<", "&lt;")
