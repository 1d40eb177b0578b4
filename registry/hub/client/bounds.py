"""What an answer of a Hub may cost, and whom a token may reach: the one client through which the library asks.

Laws, for our calls and for those that the library makes by itself:

    silence   nothing for SILENCE seconds ends a call that reads, nothing for MAKING seconds one that changes something
    time      an answer that is read whole comes within WHOLE seconds, its headers too; a file no slower than SLOWEST
    size      at most MAX_BYTES, and at most MAX_PARTS things in it, counted before any of them is built; unpacked
              bytes are sent bytes, for nothing is asked for packed, and what comes packed is refused
    pages     the next page stands at the same server, and is another one; MAX_PAGES, MAX_CALL_PARTS and CALL seconds
              of waiting are for all pages of one call together
    patience  who asks to come back later than in PATIENCE seconds is not waited for
    token     it goes to endpoints that a `Connection` was made for; elsewhere the request goes without it

What breaks a law raises Unavailable, or Silent, which the library does not try again.
"""

from __future__ import annotations

import os
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import Any

import httpx2
from huggingface_hub.utils._http import hf_request_event_hook

from registry.errors import Unavailable
from registry.hub.faults import CERTIFICATES
from registry.hub.transfer import Silent

CONNECT = 10.0
SILENCE = 30.0
MAKING = 300.0
"""A commit of many files is answered when all of it is done."""
WHOLE = 120.0
SLOWEST = 4096
"""Bytes a second, on average, after WHOLE seconds."""
CALL = 600.0
PATIENCE = 60
MAX_BYTES = 32 << 20
MAX_PARTS = 1_000_000
"""Lists, objects and commas between what stands in them."""
MAX_CALL_PARTS = 3_000_000
MAX_PAGES = 1_000
OURS = "glasshouse"
"""How our requests call themselves."""

_KEPT = "glasshouse.whole"
"""Whether an answer is read whole; otherwise whoever asked counts its bytes."""
_READING = ("GET", "HEAD")
_LIMIT_RESET = re.compile(r';\s*r\s*=\s*0+\s*;\s*t\s*=\s*([^;,"\s]+)')
"""The library waits so long at a 429 (draft-ietf-httpapi-ratelimit-headers-09, as it reads that)."""
_endpoints: set[str] = set()


class _Limit(threading.local):
    """How long the reads of this thread may take together. since: the first of them, once it has begun."""

    seconds: float | None = None
    since: float | None = None


_limit = _Limit()


@dataclass
class _Call:
    """What the pages of one call of the library have cost so far."""

    pages: int = 0
    parts: int = 0
    seconds: float = 0.0


_CALL: ContextVar[_Call | None] = ContextVar("_CALL", default=None)


@contextmanager
def one_call() -> Iterator[None]:
    """Around one call of the library, whose pages are counted together."""
    token = _CALL.set(_Call())
    try:
        yield
    finally:
        _CALL.reset(token)


class BoundedClient(httpx2.Client):
    """A client for the Hub at `endpoint`, whose token may go there."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            event_hooks={"request": [hf_request_event_hook, _keep_token], "response": [_bounded]},
            follow_redirects=True,
            timeout=None,  # else httpx's own 5 s would stand below every law here
            verify=_authorities(*map(os.environ.get, CERTIFICATES)),
        )
        _endpoints.add(_origin(httpx2.URL(endpoint)))

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """As the library's client does, within the laws above."""
        reading, started = request.method in _READING, monotonic()
        request.headers["accept-encoding"] = "identity"
        request.extensions |= {_KEPT: not stream, "trace": _watch, "timeout": _timeout(request)}
        call = _CALL.get() or _Call()
        if reading:
            call.pages += 1
        if call.pages > MAX_PAGES or call.seconds > CALL:
            raise _odd(request, f"it has not come to an end after {call.pages - 1} pages and {call.seconds:.0f} s")
        try:
            with _limited(WHOLE if reading else MAKING):
                return super().send(request, stream=stream, **options)
        except httpx2.TimeoutException as problem:
            raise _silent(request) from problem
        finally:
            call.seconds += monotonic() - started if reading else 0


@cache
def _authorities(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Whose certificates servers may have, by httpx's own reading of these variables. To read them takes 20 ms."""
    return httpx2.create_ssl_context()


class _Counted(httpx2.SyncByteStream):
    """The bytes of an answer, counted as they come."""

    def __init__(self, response: httpx2.Response, whole: bool) -> None:
        self._request = response.request
        self._stream = response.stream
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self._stream, httpx2.SyncByteStream)
        started, came, parts = monotonic(), 0, 0
        call = _CALL.get() or _Call()
        chunks = iter(self._stream)
        while True:
            left = WHOLE + (0 if self._whole else came / SLOWEST) - (monotonic() - started)
            if left <= 0:
                raise _odd(self._request, f"after {monotonic() - started:.0f} s only {came} bytes have come")
            try:
                with _limited(left):
                    chunk = next(chunks, None)
            except httpx2.TimeoutException as problem:
                raise _silent(self._request) from problem
            if chunk is None:
                return
            came += len(chunk)
            if self._whole:
                more = sum(chunk.count(mark) for mark in (b",", b"[", b"{"))
                parts, call.parts = parts + more, call.parts + more
                if came > MAX_BYTES or parts > MAX_PARTS or call.parts > MAX_CALL_PARTS:
                    raise _odd(self._request, f"more than {MAX_BYTES} bytes or {MAX_PARTS} things in one answer")
            yield chunk

    def close(self) -> None:
        """Close the connection, or keep it for the next request."""
        assert isinstance(self._stream, httpx2.SyncByteStream)
        self._stream.close()


def _keep_token(request: httpx2.Request) -> None:
    """Take the token from a request of ours that does not go to a Hub we were told to ask."""
    ours = request.headers.get("user-agent", "").startswith(OURS)
    if ours and _origin(request.url) not in _endpoints:
        request.headers.pop("authorization", None)


def _bounded(response: httpx2.Response) -> None:
    """Refuse an answer by its headers, or count what follows them."""
    request = response.request
    packed = response.headers.get("content-encoding", "").strip().lower()
    if packed not in ("", "identity") and request.method != "HEAD":
        raise _odd(request, f"it comes packed ({packed[:40]!r}), and was not asked for so")
    waits = response.headers.get("retry-after", "").strip()
    limits = _LIMIT_RESET.search(response.headers.get("ratelimit", "")) if response.status_code == 429 else None
    for wait in (waits, limits[1] if limits else ""):
        if wait.isdigit() and not (re.fullmatch(r"0*[0-9]{1,4}", wait, re.ASCII) and int(wait) <= PATIENCE):
            raise Unavailable(
                f"{_origin(request.url)} asks to come back in {wait[:20]} seconds (HTTP status {response.status_code})",
                mend="try again later",
            )
    following = response.links.get("next", {}).get("url")
    if following is not None:
        url = request.url.join(following)
        if _origin(url) != _origin(request.url) or url == request.url:
            raise _odd(request, f"it says that the next page is {str(url)[:200]!r}")
    whole = request.extensions.get(_KEPT, True) or response.status_code >= 300
    response.stream = _Counted(response, whole)


def _timeout(request: httpx2.Request) -> dict[str, float]:
    """No longer than the laws allow, whatever the library asks for: often that is for ever."""
    given = request.extensions.get("timeout") or {}
    silence = SILENCE if request.method in _READING else MAKING
    longest = {"connect": CONNECT, "read": silence, "write": silence, "pool": silence}
    return {name: min(given.get(name) or most, most) for name, most in longest.items()}


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Within: the reads of this thread take no longer together. What is sent before them does not count."""
    before = _limit.seconds, _limit.since
    _limit.seconds, _limit.since = seconds, None
    try:
        yield
    finally:
        _limit.seconds, _limit.since = before


def _watch(event: str, info: dict[str, Any]) -> None:
    """Have each new connection keep `_limited`: headers may come a byte at a time, and each is progress."""
    if event.endswith((".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")):
        stream = info["return_value"]
        stream.read = _ending(stream.read)


def _ending(read: Callable[..., bytes]) -> Callable[..., bytes]:
    def limited(max_bytes: int, timeout: float | None = None) -> bytes:
        if _limit.seconds is not None:
            _limit.since = _limit.since or monotonic()
            left = max(_limit.since + _limit.seconds - monotonic(), 0.001)
            timeout = left if timeout is None else min(timeout, left)
        return read(max_bytes, timeout)

    return limited


def _origin(url: httpx2.URL) -> str:
    """Scheme, host and port: what an address has in common with others at the same server."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    usual = {"http": 80, "https": 443}.get(url.scheme)
    port = "" if url.port in (None, usual) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


def _odd(request: httpx2.Request, found: str) -> Unavailable:
    return Unavailable(
        f"{_origin(request.url)} does not answer as a Hub does at {request.url.path[:200]}: {found}",
        mend="check the endpoint",
    )


def _silent(request: httpx2.Request) -> Silent:
    return Silent(
        f"{_origin(request.url)} does not answer at {request.url.path[:200]}, or only bit by bit",
        mend="check the network and the endpoint, and try again",
    )
