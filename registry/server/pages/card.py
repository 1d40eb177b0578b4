"""A card as safe HTML. It was written by anybody, so a process of its own renders it, within bounds of time and memory.

Law: what comes out holds only tags that the renderer itself writes. HTML in the card is shown as text; a link leads to
http, https, or a file beside the card; a picture is one of the repository's own. A card that takes too long, or is too
large, is shown as plain text.

This file is run as a program, too: Markdown on standard input, HTML on standard output.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from threading import Semaphore
from typing import Any
from urllib.parse import quote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from registry.errors import InputError
from registry.manifest import check_path

MAX_CARD = 256 << 10
"""Bytes of a card that are rendered; a longer one is shown as text, to this length."""
MAX_HTML = 8 << 20
SECONDS = 3
MEMORY = 768 << 20
PROGRAM = __file__
"""What renders a card: this file."""
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
BASE = "repository:"
"""Stands before the path of a file beside the card, until the page knows at which commit it is shown."""
_TURNS = Semaphore(2)
"""Cards that are rendered at once."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@lru_cache(maxsize=256)
def rendered(text: str) -> str | None:
    """The HTML of a card, files beside it at BASE; None where it is too large, or takes too long."""
    if len(text.encode()) > MAX_CARD:
        return None
    try:
        with _TURNS:
            done = subprocess.run(
                [sys.executable, "-P", PROGRAM], input=text.encode(), capture_output=True, timeout=SECONDS * 3,
                check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    if done.returncode or len(done.stdout) > MAX_HTML:
        return None
    return done.stdout.decode("utf-8", "replace")


def placed(html: str, files: str) -> str:
    """The same, files beside the card at the address `files`, which ends in a slash."""
    return html.replace(f'"{BASE}', f'"{escape(files, quote=True)}')


def to_html(text: str) -> str:
    """The HTML of a card, as the law above says it; in whatever time and memory it takes."""
    renderer = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    renderer.normalizeLink = lambda url: address(url) or ""  # type: ignore[method-assign]
    renderer.validateLink = bool  # type: ignore[method-assign, assignment]
    renderer.add_render_rule("image", _image)
    renderer.add_render_rule("link_open", _link)
    renderer.add_render_rule("heading_open", _heading)
    renderer.add_render_rule("heading_close", _heading)
    renderer.add_render_rule("th_open", _cell)
    renderer.add_render_rule("td_open", _cell)
    renderer.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>')
    renderer.add_render_rule("table_close", lambda *_: "</table></div>")
    return str(renderer.render(text)).replace("<pre><code", '<pre tabindex="0"><code')  # the keyboard scrolls it


def address(url: str) -> str | None:
    """Where a link of a card leads: the same for http and https, BASE and a path for a file; None for all else."""
    text = url.strip()
    if not text.isprintable() or "\\" in text or len(text) > 2000:
        return None
    if text.startswith("#"):
        return "#card"
    if text.endswith("/") and "//" not in text:
        return "#files"
    if text.lower().startswith(("http://", "https://")):
        try:
            host = urlsplit(text).hostname
        except ValueError:
            return None
        return quote(text, safe="%/:?#[]@!$&'()*+,;=~-._") if host else None
    path = text.split("#")[0].split("?")[0].removeprefix("./")
    if _SCHEME.match(text) or text.startswith("/"):
        return None
    try:
        check_path(path)
    except InputError:
        return None
    return BASE + quote(path)


def _heading(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A heading of the card stands below those of the page."""
    token = tokens[index]
    level = min(6, int(token.tag[1]) + 1)
    return f"<{'/' if token.nesting < 0 else ''}h{level}>"


def _cell(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A cell of a table. How it is aligned is a class: a page has no styles but those of its stylesheet."""
    token = tokens[index]
    name = {"text-align:right": ' class="number"', "text-align:center": ' class="middle"'}
    return f"<{token.tag}{name.get(str(token.attrGet('style')), '')}>"


def _link(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    href = str(tokens[index].attrGet("href") or "")
    return f'<a href="{escape(href, quote=True)}" rel="nofollow noopener noreferrer ugc">'


def _image(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A picture of the repository; of any other, its name."""
    token = tokens[index]
    source, words = str(token.attrGet("src") or ""), escape(token.content[:300], quote=True)
    if source.startswith(BASE) and source.lower().endswith(PICTURES):
        return f'<img src="{escape(source, quote=True)}" alt="{words}" loading="lazy" decoding="async">'
    return f'<span class="picture">{words or "picture"}</span>'


def main() -> None:
    """Render what standard input holds, or end with an error where that takes more than it may."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    text = sys.stdin.buffer.read(MAX_CARD + 1).decode("utf-8", "replace")
    sys.stdout.buffer.write(to_html(text).encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
