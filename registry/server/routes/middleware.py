"""What stands before every route: a request is observed, then counted, then looked at for what is ambiguous."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import Any, TextIO
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.server.access.limits import Rates, ServerLimits
from registry.server.figures import Figures
from registry.server.problems import Problem
from registry.server.routes.answers import declined

_HOST = re.compile(rb"([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


class Observed:
    """Outermost: sees every request and its answer, also those that are declined or break.

    figures: shared by the workers of one server.  log: gets a line of JSON for each request, with the id that its
    answer has as X-Request-Id. Neither names a token, a signature or a query: only the path.
    """

    def __init__(self, app: ASGIApp, figures: Figures | None, log: TextIO | None) -> None:
        self._app = app
        self._figures = figures
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        seen: dict[str, Any] = {"id": secrets.token_hex(8), "status": 0, "sent": 0, "received": 0}
        seen |= {"user": None, "session": False}
        started = time.monotonic()

        async def heard() -> Message:
            message = await receive()
            seen["received"] += len(message.get("body", b""))
            return message

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                known = message.get("headers", ())
                message["headers"] = [*known, *_more(seen, {name.lower() for name, _ in known})]
            await send(message)
            seen["sent"] += len(message.get("body", b""))

        if self._figures is not None:
            self._figures.add("started")
        try:
            await self._app({**scope, "seen": seen}, heard, told)
        finally:
            self._done(scope, seen, time.monotonic() - started)

    def _done(self, scope: Scope, seen: dict[str, Any], seconds: float) -> None:
        if self._figures is not None:
            self._figures.answer(seen["status"] or 500, seconds, sent=seen["sent"], received=seen["received"])
        if self._log is not None:
            row = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "client": (scope.get("client") or ("?",))[0],
                "method": scope["method"],
                "path": scope["raw_path"].decode("ascii", "replace")[:2000],
                "seconds": round(seconds, 4),
                **seen,
            }
            print(json.dumps(row), file=self._log, flush=True)


def _more(seen: dict[str, Any], known: set[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers of every answer; of a copy, whose it is, and how long ago that was asked (RFC 9111, section 5.1)."""
    found = [(b"x-request-id", seen["id"].encode())]
    if seen["session"] and b"cache-control" not in known:  # shared caches know of tokens, not of cookies
        found.append((b"cache-control", b"private"))
    if "mirror" in seen:
        found += [(b"x-mirror-of", seen["mirror"].encode()), (b"age", str(seen["age"]).encode())]
    return found


class Limited:
    """Declines what comes too fast with 429."""

    def __init__(self, app: ASGIApp, limits: ServerLimits) -> None:
        self._app = app
        self._rates = Rates(limits.rate, limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        address = (scope.get("client") or ("?",))[0]
        wait = self._rates.take(address, time.monotonic())
        if wait:
            headers = {"Retry-After": str(int(wait) + 1)}
            return await declined(Problem(429, "too many requests", headers=headers))(scope, receive, send)
        return await self._app(scope, receive, send)


class Strict:
    """Routes by the path as it was sent, so that an encoded slash stays in its segment; refuses what is ambiguous.

    That is: what is not UTF-8; control characters (a CR and LF could end up in a header); a Host that is not one (it
    comes back in addresses); two ways at once of saying how long the body is (a proxy in front may believe the other).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        fault = _fault(scope)
        if fault is not None:
            return await declined(Problem(400, fault, headers={"Connection": "close"}))(scope, receive, send)
        return await self._app({**scope, "path": scope["raw_path"].decode("ascii")}, receive, send)


def _fault(scope: Scope) -> str | None:
    """What is wrong with the head of a request."""
    try:
        plain = "".join(unquote(scope[part].decode("ascii"), errors="strict") for part in ("raw_path", "query_string"))
    except UnicodeError:
        return "the address is not UTF-8"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in plain):
        return "the address holds control characters"
    names = [name for name, _ in scope["headers"]]
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if not hosts and scope["http_version"] == "1.0":
        pass  # it need not name one, and what looks whether a server is well does not
    elif len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return "the Host header names no host"
    if b"content-length" in names and b"transfer-encoding" in names:
        return "both Content-Length and Transfer-Encoding"
    return None
