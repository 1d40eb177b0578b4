"""A server that stands before another, and passes on what it is asked, unless a test has it answer otherwise."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Answer = tuple[int, dict[str, str], bytes]
Twist = Callable[[str, Answer], Answer]
"""What becomes of the answer to a path."""


def honest(path: str, answer: Answer) -> Answer:
    """Nothing else than what was answered."""
    return answer


@dataclass
class GoBetween:
    """One that runs. url: its address.  twist: what it does with answers.  seen: (path, authorization) of each."""

    url: str
    twist: Twist = honest
    seen: list[tuple[str, str | None]] = field(default_factory=list)

    def count(self, part: str) -> int:
        """How often something was asked for whose path holds `part`."""
        return sum(part in path for path, _ in self.seen)


@contextmanager
def standing_before(url: str) -> Iterator[GoBetween]:
    """Stand before the server at `url` until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

        def do_GET(self) -> None:
            """Ask, and pass on what comes."""
            found.seen.append((self.path, self.headers.get("authorization")))
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as there:
                there.request(self.command, self.path, body, dict(self.headers.items()))
                answer = there.getresponse()
                got = answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
            status, headers, data = found.twist(self.path, got)
            self.send_response(status)
            for key in headers.keys() - {"content-length", "transfer-encoding", "connection", "date", "server"}:
                self.send_header(key, headers[key])
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815 - http.server's name

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = GoBetween(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
