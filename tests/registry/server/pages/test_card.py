"""Cards: what comes out is harmless, whatever goes in, and takes a bounded time."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.server.pages import card

TAGS = {
    "a", "blockquote", "br", "code", "div", "em", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre",
    "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"href", "rel", "src", "alt", "loading", "decoding", "class", "tabindex", "start"}


class Seen(HTMLParser):
    """Every tag and attribute of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)


def harmless(html: str) -> bool:
    """Whether there is nothing in it but what the renderer writes."""
    seen = Seen(html)
    links = [value or "" for name, value in seen.attributes if name in ("href", "src")]
    return (
        seen.tags <= TAGS
        and {name for name, _ in seen.attributes} <= ATTRIBUTES
        and all(re.match(r"https?://[^/]|repository:|#card$|#files$", link) for link in links)
    )


PIECES = st.sampled_from(
    ["[a](", ")", "![", "]", "<", ">", "javascript:", "http://", "https://h/", '"', "'", " onerror=x ", "`", "*", "\n",
     "\n\n", "- ", "> ", "#", "|", "---\n", "&#106;", "&colon;", "\\", "\t", "[r]: ", "a.png", "../", "\x00", "\u202e",
     "repository:", "//", "data:", "<a@b.c>", "x", "{{"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES | st.text(max_size=6), max_size=60).map("".join))
def test_what_comes_out_is_harmless(text: str) -> None:
    assert harmless(card.to_html(text))


@pytest.mark.parametrize(
    ("url", "leads"),
    [("https://h/a?b=c#d", "https://h/a?b=c#d"), ("http://h", "http://h"), ("a/b.txt", "repository:a/b.txt"),
     ("./LICENSE", "repository:LICENSE"), ("#top", "#card"), ("provenance/", "#files"), ("javascript:x", None),
     ("//h/a", None), ("/a", None), ("../a", None), ("a/../b", None), ("data:x", None), ("https://", None),
     ("https:\\\\h", None),
     ("mailto:a@b", None), ("repository:a", None), ("", None), ("https://[", None), ("java\nscript:x", None)],
)  # fmt: skip
def test_where_links_lead(url: str, leads: str | None) -> None:
    assert card.address(url) == leads


def test_pictures_are_those_of_the_repository() -> None:
    html = card.placed(card.to_html("![a](x/y.png) ![b](https://h/z.png) ![c](w.svg)"), "/org/model/resolve/c0/")
    assert html.count("<img ") == 1 and 'src="/org/model/resolve/c0/x/y.png"' in html and harmless(html) is False


@pytest.mark.parametrize(
    "text",
    ["".join("  " * depth + "- a\n" for depth in range(1000)), "x" * (1 << 20), "> " * 120_000],
    ids=["a megabyte of nested lists", "a long text", "quotes"],
)
def test_a_bomb_goes_off_in_a_process_of_its_own(text: str) -> None:
    html = card.rendered(text)
    assert html is None or harmless(html)


ANSWER = "import sys; head = sys.stdin.buffer.read(4); sys.stdout.buffer.write({}); sys.stdout.flush()"


@pytest.mark.parametrize(
    "program",
    ["import time; time.sleep(60)", "raise MemoryError", ANSWER.format("(9 << 20).to_bytes(4) + b'x' * (9 << 20)"),
     ANSWER.format("(9).to_bytes(4) + b'x' * 8"), ANSWER.format("b'123'")],
    ids=["too long", "ends", "too large", "cut short", "no length"],
)  # fmt: skip
def test_a_card_whose_rendering_does_not_end_well_is_not_rendered(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    renderer = card.CardRenderer(str(tmp_path / "program.py"), 1.0)
    for _ in range(card.AT_ONCE + 1):
        assert renderer.html("a card") is None
    renderer.close()


def test_one_process_renders_one_card_after_the_other_and_a_bomb_is_the_end_of_it() -> None:
    renderer = card.CardRenderer()
    assert [renderer.html(text) for text in ("# one", "", "# two")] == [
        "<h2>one</h2>", "", "<h2>two</h2>",
    ]  # fmt: skip
    bomb = "> " * 120_000
    assert renderer.html(bomb) is None or harmless(renderer.html(bomb) or "")
    assert renderer.html("after") == "<p>after</p>\n"
    renderer.close()


def test_tables_are_aligned_by_classes() -> None:
    html = card.to_html("|a|b|c|\n|-|-:|:-:|\n|1|2|3|\n")
    assert "style" not in html and '<td class="number">2</td>' in html and '<td class="middle">3</td>' in html
