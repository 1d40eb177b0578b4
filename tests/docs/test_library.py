"""The page of the Python library: every public name, with its docstring, and examples that look like code."""

from __future__ import annotations

import re
from pathlib import Path

from registry import api
from tests.conftest import ROOT
from tests.docs.doctests import fenced


def test_every_public_name_is_on_the_page_with_what_is_said_of_it(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text()
    assert {name for name in api.__all__ if f'id="registry.api.{name}"' not in page} == set()
    words = " ".join(re.sub("<[^>]+>", "", page).split())
    for name in api.__all__:
        first = re.split(r"[`:.]", (getattr(api, name).__doc__ or "").strip())[0]
        assert first and first in words, name
    assert 'class="language-pycon' in page


def test_an_example_ends_with_an_empty_line() -> None:
    assert fenced("Adds.\n\n>>> 1 + 1\n2\n\nThat is all.") == ("Adds.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nThat is all.")
    assert fenced("a >>> b") == "a >>> b"


def test_what_the_pages_take_from_the_library_is_public() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    programs = [text for page in pages for text in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]
    used = {name for program in programs for name in re.findall(r"\bglasshouse\.(\w+)", program)}
    assert "verify" in used and used <= set(api.__all__)
