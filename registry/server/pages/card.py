"""A card as safe HTML. It was written by anybody, so a process of its own renders it, within bounds of time and memory.

Law: what comes out holds only tags that the renderer itself writes. HTML in the card is shown as text; a link leads to
http, https, or a file beside the card; a picture is one of the repository's own. A card that takes too long, or is too
large, is shown as plain text.

This file is run as a program, too. On standard input come cards, on standard output their HTML; before each stand its
bytes' number, in four bytes.
"""

from __future__ import annotations

import atexit
import re
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from html import escape
from queue import LifoQueue
from subprocess import DEVNULL, PIPE, Popen
from threading import Timer
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
AT_ONCE = 2
"""Cards that are rendered at once."""
LENGTH = 4
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class CardRenderer:
    """Processes that render one card after the other. One that a card was too much for is ended, and another begun."""

    def __init__(self, program: str = PROGRAM, seconds: float = SECONDS * 3) -> None:
        """program: what renders.  seconds: for each card, in which it also waits for a processor."""
        self._program, self._seconds = program, seconds
        self._idle: LifoQueue[Popen[bytes] | None] = LifoQueue()
        for _ in range(AT_ONCE):
            self._idle.put(None)

    def html(self, text: str) -> str | None:
        """The HTML of a card; None where its process did not end well."""
        process, found = self._idle.get(), None
        try:
            command = [sys.executable, "-P", self._program]
            process = process or Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
            found = self._asked(process, text.encode())
        finally:
            if found is None and process is not None:
                _end(process)
                process = None
            self._idle.put(process)
        return found.decode("utf-8", "replace") if found is not None else None

    def close(self) -> None:
        """End the processes that are idle."""
        for _ in range(AT_ONCE):
            if (process := self._idle.get()) is not None:
                _end(process)
            self._idle.put(None)

    def _asked(self, process: Popen[bytes], data: bytes) -> bytes | None:
        assert process.stdin is not None and process.stdout is not None
        late = Timer(self._seconds, process.kill)
        late.start()
        try:
            process.stdin.write(len(data).to_bytes(LENGTH) + data)
            process.stdin.flush()
            size = int.from_bytes(head) if len(head := process.stdout.read(LENGTH)) == LENGTH else MAX_HTML + 1
            answer = process.stdout.read(size) if size <= MAX_HTML else b""
        except BrokenPipeError:
            return None
        finally:
            late.cancel()
        return answer if len(answer) == size else None


def _end(process: Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            if stream is not None:
                stream.close()


@cache
def _renderer() -> CardRenderer:
    made = CardRenderer()
    atexit.register(made.close)
    return made


@lru_cache(maxsize=256)
def rendered(text: str) -> str | None:
    """The HTML of a card, files beside it at BASE; None where it is too large, or takes too long."""
    return _renderer().html(text) if len(text.encode()) <= MAX_CARD else None


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
    href = str(tokens[index].attrGet("href") or "#card")  # where it leads nowhere
    return f'<a href="{escape(href, quote=True)}" rel="nofollow noopener noreferrer ugc">'


def _image(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A picture of the repository; of any other, its name."""
    token = tokens[index]
    source, words = str(token.attrGet("src") or ""), escape(token.content[:300], quote=True)
    if source.startswith(BASE) and source.lower().endswith(PICTURES):
        return f'<img src="{escape(source, quote=True)}" alt="{words}" loading="lazy" decoding="async">'
    return f'<span class="picture">{words or "picture"}</span>'


def main() -> None:
    """Render what standard input holds, one card after the other; end where one takes more than it may."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    cards, pages = sys.stdin.buffer, sys.stdout.buffer
    while head := cards.read(LENGTH):
        text = cards.read(int.from_bytes(head)).decode("utf-8", "replace")
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of its own time; the signal ends the process
        html = to_html(text).encode("utf-8", "replace")
        signal.setitimer(signal.ITIMER_PROF, 0)
        pages.write(len(html).to_bytes(LENGTH) + html)
        pages.flush()


if __name__ == "__main__":
    main()
