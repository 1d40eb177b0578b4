"""The pages of a server, asked one after the other by their own links, and written as files.

Law: whoever builds is nobody: what a reader without a token does not see is not asked for. Whatever a page links to is
a file of the site, a place elsewhere, or not a link any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from registry.errors import InputError
from registry.server.names import RepoName
from registry.server.pages.card import PICTURES
from registry.server.problems import Problem
from registry.server.state import Hub
from registry.server.still.places import file_of, link, settled

BEGIN = ("/", "/models", "/datasets")
ALONE = (".svg", ".atom", ".css", ".js", ".txt")
"""How the routes end whose answers are not pages."""
AS_THEY_ARE = (".css", ".js", ".txt")
NEVER = re.compile(r"/sign-in|.*/blob/.*")
"""The routes that need a server."""
MAX_FILES = 1_000_000
MAX_PICTURE = 16 << 20
_COMMIT = re.compile(rb'"([0-9a-f]{40})"')
_LINK = re.compile(r' (href|src|action)="([^"]*)"')
_CONTENT = re.compile(r"/(?:(datasets)/)?([^/]+)/([^/]+)/resolve/([^/]+)/(.+)")


@dataclass(slots=True)
class Walk:
    """One walk over the pages `routes` of `hub`, which writes them below `out`.

    downloads: the address of a Hub where the files are to be had; None: they are not linked.
    commits: {a commit of this folder: the one where the release lies, None for a directory}.
    """

    hub: Hub
    routes: Sequence[Route]
    out: Path
    downloads: str | None
    commits: Mapping[str, str | None] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    """{file: bytes} so far."""
    refused: list[str] = field(default_factory=list)
    """Addresses that answer with a refusal; the site has it as a page."""
    _waiting: list[str] = field(default_factory=list)
    _known: dict[str, str] = field(default_factory=dict)

    def go(self) -> None:
        """Write everything that can be reached. Raises InputError for more than MAX_FILES files."""
        for address in BEGIN:
            self._local(address)
        while self._waiting:
            address = self._waiting.pop()
            self._write(self._known[address], self._answer(address))

    def _answer(self, address: str) -> bytes:
        """What stands in the file of a settled address."""
        try:
            response = answer(self.hub, self.routes, address)
        except Problem as problem:
            self.refused.append(address)
            return json.dumps({"error": problem.message}).encode()
        if response.status_code != 200:
            self.refused.append(address)
        body = bytes(response.body)
        if response.media_type == "application/json":
            return _COMMIT.sub(self._commit, body)
        if address.endswith(AS_THEY_ARE):
            return body
        return _LINK.sub(lambda found: self._relinked(address, found), body.decode()).encode()

    def _commit(self, found: re.Match[bytes]) -> bytes:
        """A commit as it is called where the release lies."""
        here = found[1].decode()
        return json.dumps(self.commits[here]).encode() if here in self.commits else found[0]

    def _relinked(self, address: str, found: re.Match[str]) -> str:
        """A link of the page at `address`, as the site has it; nothing where it leads nowhere."""
        kind, value = found[1], unescape(found[2])
        where, fragment = urljoin(address, value.removeprefix(self.hub.url or "\0")), urlsplit(value).fragment
        if value.startswith("#") or urlsplit(where).scheme in ("http", "https"):
            return found[0]
        content = _CONTENT.fullmatch(unquote(where.partition("#")[0].partition("?")[0]))
        if content is not None:
            told = self._picture(address, content) if kind == "src" else self._download(content)
        else:
            target = self._local(where)
            told = target and link(self._known[settled(address)], target, fragment)
        return f' {kind}="{escape(told, quote=True)}"' if told else ""

    def _local(self, address: str) -> str | None:
        """The file of that address, which will be written; None where the site has none."""
        asked = settled(address)
        if asked in self._known:
            return self._known[asked]
        route = self._route(asked.partition("?")[0])
        if route is None or NEVER.fullmatch(route.path):
            return None
        self._known[asked] = file_of(asked, page=not route.path.endswith(ALONE))
        self._waiting.append(asked)
        if len(self._known) > MAX_FILES:
            raise InputError(f"the site would have more than {MAX_FILES} files", mend="build a site of fewer releases")
        return self._known[asked]

    def _route(self, path: str) -> Route | None:
        scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
        return next((route for route in self.routes if route.matches(scope)[0] is Match.FULL), None)

    def _download(self, content: re.Match[str]) -> str | None:
        """Where a file is to be had."""
        kind, owner, name, revision, path = content.groups()
        place = "/".join(
            part for part in (kind, owner, name, "resolve", self.commits.get(revision) or revision) if part
        )
        return self.downloads and f"{self.downloads}/{quote(place)}/{quote(path)}"

    def _picture(self, address: str, content: re.Match[str]) -> str | None:
        """A picture of a card, which becomes a file of the site."""
        kind, owner, name, revision, path = content.groups()
        target = file_of(f"/{kind or ''}/{owner}/{name}/files/{revision}/{quote(path)}", page=False)
        if target not in self.written:
            try:
                repo = self.hub.readable(RepoName(kind or "models", owner, name), None)
                found = self.hub.large.content(repo, revision, path)
            except Problem:
                return None
            if found.size > MAX_PICTURE or not path.lower().endswith(PICTURES):
                return None
            self._write(target, b"".join(found.read(0, found.size)))
        return link(self._known[settled(address)], target)

    def _write(self, file: str, data: bytes) -> None:
        path = self.out / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.written[file] = len(data)


def answer(hub: Hub, routes: Iterable[Route], address: str) -> Response:
    """What `routes` answer to a reader without a token, as for a page that nobody serves. Raises Problem as they do."""
    path, _, query = address.partition("?")
    app = Starlette()
    app.state.hub = hub
    scope = {
        "type": "http", "method": "GET", "scheme": "http", "path": path, "root_path": "", "app": app, "still": True,
        "query_string": query.encode(), "headers": [(b"accept", b"text/html"), (b"host", b"localhost")],
    }  # fmt: skip
    for route in routes:
        match, more = route.matches(scope)
        if match is Match.FULL:
            found = route.endpoint(Request({**scope, **more}))
            assert isinstance(found, Response)
            return found
    raise Problem(404, "there is no such page")
