"""The pages are in plain English, as far as a program can tell; README.md leads to pages that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.test_names import PAGES

LONGEST = 50
"""Words of a sentence. Only enumerations come near."""
_NOT_PROSE = re.compile(r"^ *```.*?^ *```|<!--.*?-->|^(?:\||    |#|::).*?$", re.DOTALL | re.MULTILINE)
_PARAGRAPH = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z`*(\[])")
STOPS_READERS = re.compile(r"(?<!here )\b(?:is|are|was|were) no\b(?! longer| farther| older)|^\W*Of\b")
"""`is no` for `is not a`, and a sentence that begins with `Of`."""


def sentences(page: Path) -> Iterator[str]:
    """Each sentence of the running text."""
    yield from split(page.read_text())


def split(text: str) -> Iterator[str]:
    """Each sentence of `text`; what is set apart in it, such as code, is left out."""
    for paragraph in _PARAGRAPH.split(_NOT_PROSE.sub("", text)):
        yield from _SENTENCE.split(" ".join(paragraph.split()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_sentence_stops_its_reader(page: Path) -> None:
    found = list(sentences(page))
    assert [sentence for sentence in found if len(sentence.split()) > LONGEST] == []
    assert [sentence for sentence in found if STOPS_READERS.search(sentence)] == []


def test_such_a_sentence_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Of no use\n\nThere is no answer. It is no answer.\nOf three, one.\n\n    Of code\n- " + "word " * 60
    )
    found = list(sentences(page))
    assert [bool(STOPS_READERS.search(sentence)) for sentence in found if sentence] == [False, True, True, False]
    assert len(found[-1].split()) > LONGEST


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    links = re.findall(r"(?:\]\(|src=\")([^)\"]+)", (ROOT / "README.md").read_text())
    assert len(links) > 20 and [link for link in links if not (ROOT / link.partition("#")[0]).is_file()] == []
