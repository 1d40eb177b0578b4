"""A Hub that lies: one small honest repository, and behaviours that each depart from it in one way.

`served(behaviour)` runs it on loopback. A behaviour answers a request, or returns False to have it answered honestly.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REPO = "org/model"
COMMIT = "c" * 40
OTHER = "d" * 40
FILES: Mapping[str, bytes] = {"README.md": b"# A model\n", "config.json": b"{}\n"}
ENDLESS = 1 << 33
"""Bytes that an endless answer has at most, so that a test that fails ends."""

Behaviour = Callable[["Handler"], bool]


def git_oid(data: bytes) -> str:
    """As git names a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def entry(path: Any, **changed: Any) -> dict[str, Any]:
    """An entry of the tree listing."""
    data = FILES.get(str(path), b"")
    return {"type": "file", "path": path, "size": len(data), "oid": git_oid(data)} | changed


LISTING = [entry(path) for path in FILES]
REFS = {
    "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}],
    "converts": [],
    "tags": [{"name": "v1.0.0", "ref": "refs/tags/v1.0.0", "targetCommit": COMMIT}],
}
INFO = {"id": REPO, "sha": COMMIT, "siblings": [{"rfilename": path} for path in FILES], "tags": []}


@dataclass
class Hub:
    """A Hub that runs. url: its address.  seen: (path, the token that came along) of each request."""

    url: str
    seen: list[tuple[str, str | None]] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    """Serves one behaviour."""

    daemon_threads = True
    behaviour: Behaviour
    hub: Hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up on a liar is right."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer by the behaviour, else honestly."""
        self.server.hub.seen.append((self.path, self.headers.get("authorization")))
        if not self.server.behaviour(self):
            self.honest()

    do_PUT = do_GET  # noqa: N815
    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def about(self, part: str) -> bool:
        """Whether the request is for `revision`, `tree`, `refs`, `commits`, `resolve`, `discussions` or `whoami`."""
        return f"/{part}" in self.path

    def honest(self) -> None:
        """What a Hub answers."""
        path = self.path.partition("?")[0]
        if self.about("resolve/"):
            self.send(FILES[path.rpartition("/")[2]], kind="application/octet-stream")
        elif self.about("tree/"):
            self.json(LISTING)
        elif self.about("refs"):
            self.json(REFS)
        elif self.about("commits/"):
            self.json([{"id": COMMIT, "title": "t", "message": "", "authors": [], "date": "2026-01-01T00:00:00.000Z"}])
        elif self.about("whoami"):
            self.json({"name": "builder"})
        elif self.about("discussions"):
            self.json({"count": 0, "start": 0, "discussions": []})
        else:
            self.json(INFO)

    def json(self, value: Any, **headers: Any) -> None:
        """A whole answer of JSON."""
        self.send(json.dumps(value).encode(), **headers)

    def send(self, body: bytes, status: int = 200, kind: str = "application/json", **headers: Any) -> None:
        """A whole answer; `Retry_After` stands for the header `Retry-After`."""
        self.begin(status, kind, **{"Content-Length": str(len(body))} | headers)
        self.wfile.write(body)

    def begin(self, status: int = 200, kind: str = "application/json", **headers: Any) -> None:
        """The first lines of an answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def endless(self, start: bytes, block: bytes, **headers: Any) -> None:
        """An answer that does not end; the connection is closed after it."""
        self.begin(**headers, Connection="close")
        self.close_connection = True
        self.wfile.write(start)
        for _ in range(ENDLESS // len(block)):
            self.wfile.write(block)

    def stall(self) -> None:
        """Nothing, until whoever asked has gone."""
        self.connection.settimeout(20)
        self.close_connection = True
        with suppress(OSError):
            self.connection.recv(1)

    def drip(self, data: bytes, pause: float) -> None:
        """A byte at a time."""
        self.close_connection = True
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause)


@contextmanager
def served(behaviour: Behaviour = lambda request: False) -> Iterator[Hub]:
    """The Hub, until the end of the block."""
    server = Server(("127.0.0.1", 0), Handler)
    server.behaviour = behaviour
    server.hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()


BEHAVIOURS: dict[str, Behaviour] = {}
"""Each by the name of its function, and of what it was made for."""


def at(part: str) -> Callable[[Callable[[Handler], None]], Callable[[Handler], None]]:
    """A lie that is told where `part` is asked for."""

    def enter(lie: Callable[[Handler], None]) -> Callable[[Handler], None]:
        def behaviour(request: Handler) -> bool:
            told = request.about(part)
            if told:
                lie(request)
            return told

        BEHAVIOURS[f"{part.strip('/')}: {lie.__name__}"] = behaviour
        return lie

    return enter


def at_all(*parts: str) -> Callable[[Callable[[Handler], None]], Callable[[Handler], None]]:
    """The same lie at several places, each a behaviour of its own."""

    def enter(lie: Callable[[Handler], None]) -> Callable[[Handler], None]:
        for part in parts:
            at(part)(lie)
        return lie

    return enter


@at_all("revision/", "tree/", "refs")
def endless_json(request: Handler) -> None:
    """A list that does not end."""
    request.endless(b"[", b'{"a":[],"b":"........"},' * 4096)


@at_all("revision/", "tree/")
def endless_text(request: Handler) -> None:
    """A string that does not end."""
    request.endless(b'{"sha":"', b"c" * 65536)


@at_all("revision/", "tree/")
def gzip_bomb(request: Handler) -> None:
    """Little that unpacks to much."""
    request.send(gzip.compress(b"[" + b" " * (64 << 20)), Content_Encoding="gzip")


@at("tree/")
def deflated_twice(request: Handler) -> None:
    """A bomb in a bomb."""
    bomb = gzip.compress(gzip.compress(b"0" * (16 << 20)))
    request.send(bomb, Content_Encoding="gzip, gzip")


@at_all("revision/", "tree/", "refs")
def deep_json(request: Handler) -> None:
    """A million brackets would be too many things; these are few, and deep."""
    request.send(b"[" * 100_000)


@at_all("revision/", "tree/", "refs")
def a_long_number(request: Handler) -> None:
    """More digits than Python reads."""
    request.send(b'[{"size":' + b"9" * 5000 + b"}]")


@at_all("revision/", "tree/", "refs")
def no_json(request: Handler) -> None:
    """A page for people."""
    request.send(b"<html>Welcome to this network", kind="text/html")


@at_all("revision/", "tree/", "refs")
def bytes_that_are_no_text(request: Handler) -> None:
    """JSON in no encoding."""
    request.send(b'{"sha": "\xff\xfe"}')


@at_all("revision/", "tree/", "refs")
def a_bare_number(request: Handler) -> None:
    """JSON, and of the wrong kind."""
    request.json(5)


@at_all("revision/", "tree/", "refs")
def nothing(request: Handler) -> None:
    """No body."""
    request.send(b"")


@at_all("revision/", "tree/", "refs", "resolve/")
def never_answers(request: Handler) -> None:
    """Takes the question, and is silent."""
    request.stall()


@at_all("tree/", "resolve/")
def stops_half_way(request: Handler) -> None:
    """Begins, and is silent."""
    request.begin(Content_Length="1000")
    request.wfile.write(b"[")
    request.stall()


@at_all("revision/", "tree/", "resolve/")
def drips(request: Handler) -> None:
    """A byte now and then, so that there is always a next one."""
    request.begin(Content_Length="100000")
    request.drip(b" " * 1000, 0.05)


@at_all("revision/", "resolve/")
def headers_that_drip(request: Handler) -> None:
    """The same, before the body."""
    request.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000, 0.05)


@at("resolve/")
def more_than_listed(request: Handler) -> None:
    """A file without an end."""
    request.endless(b"#", b"x" * 65536)


@at("resolve/")
def less_than_listed(request: Handler) -> None:
    """A file that is cut, again and again."""
    request.send(b"", kind="application/octet-stream")


@at("resolve/")
def a_packed_file(request: Handler) -> None:
    """A file that nobody asked to be packed."""
    request.send(gzip.compress(b"x" * (16 << 20)), Content_Encoding="gzip")


@at("tree/")
def a_page_that_points_to_itself(request: Handler) -> None:
    """No entry, and the same page again."""
    request.json([], Link=f'<{request.server.hub.url}{request.path}>; rel="next"')


@at("tree/")
def pages_without_end(request: Handler) -> None:
    """No entry, and always another page."""
    page = len(request.server.hub.seen)
    request.json([], Link=f'<{request.server.hub.url}/api/models/{REPO}/tree/{COMMIT}?page={page}>; rel="next"')


@at("tree/")
def folders_without_end(request: Handler) -> None:
    """Only folders, and always another page."""
    page = len(request.server.hub.seen)
    folders = [{"type": "directory", "path": f"{page}-{n}", "oid": "a" * 40} for n in range(1000)]
    request.json(folders, Link=f'<{request.server.hub.url}/api/models/{REPO}/tree/{COMMIT}?page={page}>; rel="next"')


@at("tree/")
def a_page_of_another_scheme(request: Handler) -> None:
    """Not even HTTP."""
    request.json(LISTING, Link='<file:///etc/passwd>; rel="next"')


@at("tree/")
def a_page_that_is_no_address(request: Handler) -> None:
    """Brackets and a port that is none."""
    request.json(LISTING, Link='<http://[::1:99999999/>; rel="next"')


@at_all("tree/", "commits/")
def come_back_in_thirty_years(request: Handler) -> None:
    """Too many requests."""
    request.send(b"{}", 429, Retry_After="999999999")


@at("tree/")
def come_back_in_a_long_number(request: Handler) -> None:
    """More digits than Python reads."""
    request.send(b"{}", 503, Retry_After="9" * 5000)


@at("tree/")
def come_back_in_superscript(request: Handler) -> None:
    """`'²'.isdigit()`, and int() refuses it."""
    request.send(b"{}", 429, Retry_After="²")


@at("tree/")
def a_limit_of_thirty_years(request: Handler) -> None:
    """The same by the other header."""
    request.send(b"{}", 429, RateLimit='"api";r=0;t=999999999')


@at("revision/")
def redirects_for_ever(request: Handler) -> None:
    """Always elsewhere."""
    request.send(b"", 302, Location=f"/api/models/{REPO}/revision/{len(request.server.hub.seen)}")


@at("revision/")
def an_endless_refusal(request: Handler) -> None:
    """The words of an error, without an end."""
    request.begin(500, Connection="close")
    for _ in range(ENDLESS // 65536):
        request.wfile.write(b"x" * 65536)


@at("revision/")
def an_odd_refusal(request: Handler) -> None:
    """An error whose words are of no type that the library expects."""
    request.send(b'{"error": {"a": 1}, "errors": [5]}', 500)


def _at_revision(name: str, changed: dict[str, Any]) -> None:
    def lie(request: Handler) -> None:
        request.json(INFO | changed)

    lie.__name__ = name
    at("revision/")(lie)


AT_REVISION: dict[str, dict[str, Any]] = {
    "no commit": {"sha": None},
    "a number as the commit": {"sha": 5},
    "a short commit": {"sha": "c" * 39},
    "a commit in capitals": {"sha": "C" * 40},
    "siblings that are a number": {"siblings": 5},
    "siblings of numbers": {"siblings": [5]},
    "a date that is none": {"lastModified": "yesterday"},
}
for _name, _changed in AT_REVISION.items():
    _at_revision(_name, _changed)


def _at_tree(name: str, listing: Any) -> None:
    def lie(request: Handler) -> None:
        request.json(listing)

    lie.__name__ = name
    at("tree/")(lie)


SIZES: list[Any] = [None, "12", [], -1, 1.5, True, {}]
PATHS: list[Any] = [None, 5, [], {}]
OIDS: list[Any] = [None, 5, "x", ""]
LFS: list[Any] = [
    5, [], {"size": 10, "oid": 5, "pointerSize": 1}, {"size": 9, "oid": "a" * 64, "pointerSize": 1},
]  # fmt: skip
AT_TREE: dict[str, Any] = {
    **{f"size {size!r}": [entry("README.md", size=size)] for size in SIZES},
    **{f"path {path!r}": [entry(path)] for path in PATHS},
    **{f"oid {oid!r}": [entry("README.md", oid=oid)] for oid in OIDS},
    **{f"lfs {lfs!r}": [entry("README.md", lfs=lfs)] for lfs in LFS},
    "a list of numbers": [5],
    "a list of lists": [[]],
    "an entry without a type": [{"path": "README.md"}],
}
for _name, _listing in AT_TREE.items():
    _at_tree(_name, _listing)


def _at_refs(name: str, refs: Any) -> None:
    def lie(request: Handler) -> None:
        request.json(refs)

    lie.__name__ = name
    at("refs")(lie)


def _branch(**changed: Any) -> dict[str, Any]:
    return REFS | {"branches": [REFS["branches"][0] | changed]}


for _name, _refs in {
    "no branches": {},
    "branches that are none": REFS | {"branches": None},
    "a name that is a number": _branch(name=5),
    "a name that is a list": _branch(name=[]),
    "a branch at no commit": _branch(targetCommit=None),
    "a branch at a number": _branch(targetCommit=5),
    "one branch twice": REFS | {"branches": [*REFS["branches"], REFS["branches"][0] | {"targetCommit": OTHER}]},
}.items():
    _at_refs(_name, _refs)
