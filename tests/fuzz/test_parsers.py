"""Each parser is fed for a moment, in a process of its own; for ten minutes each it is `make fuzz SECONDS=600`."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.__main__ import fuzz
from tests.fuzz.parsers import PARSERS


def test_no_parser_falls_over(tmp_path: Path) -> None:
    kept, words = fuzz(PARSERS, 0.15, tmp_path)
    assert kept, words
    assert [line.partition(":")[0] for line in words.splitlines()] == list(PARSERS)
