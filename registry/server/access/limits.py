"""What nobody gets more of: requests, connections that crawl, bytes, uploads."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from registry.server.problems import Problem

PART_SIZE = 64 << 20
MAX_CLIENTS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """One server's limits.

    part_size: bytes from which an upload comes in parts of that size.  quota: bytes of a namespace; None for no end.
    rate, burst: requests a second of one address, on average and at once, for each worker.
    open_uploads: at once, of all workers.  connections: at once, of one worker; beyond them 503.
    head_seconds: for the head of a request.  idle_seconds: for the next bytes of its body.  send_seconds: to take the
    next bytes of an answer.
    """

    part_size: int = PART_SIZE
    quota: int | None = None
    rate: float = 200.0
    burst: int = 2000
    open_uploads: int = 1024
    connections: int = 512
    head_seconds: float = 30.0
    idle_seconds: float = 60.0
    send_seconds: float = 60.0


class Rates:
    """A bucket of tokens for each address. Law: in any `t` seconds an address gets `burst + rate * t` at most."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> float:
        """0.0 where a request at the time `now` may go on, else the seconds to wait."""
        level, before = self._buckets.pop(address, (float(self._burst), now))
        level = min(float(self._burst), level + (now - before) * self._rate)
        allowed = level >= 1
        self._buckets[address] = (level - allowed, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - level) / self._rate


class Limited:
    """Declines what comes too fast with 429."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._rates = Rates(limits.rate, limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        address = (scope.get("client") or ("?",))[0]
        wait = self._rates.take(address, time.monotonic())
        if wait:
            headers = {"Retry-After": str(int(wait) + 1)}
            return await Problem(429, "too many requests", headers=headers).response()(scope, receive, send)
        return await self._app(scope, receive, send)


class PromptProtocol(H11Protocol):
    """HTTP that hangs up on a client whose request's head is not whole after `head_seconds`, drop by drop or not.

    Also on one that has taken nothing of a waiting answer for `send_seconds`.
    """

    limits: Limits
    _head: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection opens: its first head is awaited."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Bytes have come. While no head is whole, the time that is left is not renewed by them."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_head()
        elif self._head is None:
            self._await_head()

    def pause_writing(self) -> None:
        """More of an answer waits than the client takes."""
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        """The client has taken what waited."""
        self._stop_answer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and so is the wait."""
        self._stop_head()
        self._stop_answer()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head = self.loop.call_later(self.limits.head_seconds, self.transport.close)

    def _await_taking(self, before: int | None = None) -> None:
        """Hang up unless less waits than `before`; look again later."""
        waiting = self.transport.get_write_buffer_size()
        if before is not None and waiting >= before:
            self.transport.abort()
        else:
            self._answer = self.loop.call_later(self.limits.send_seconds, self._await_taking, waiting)

    def _stop_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_answer(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None


def prompt(limits: Limits) -> type[PromptProtocol]:
    """The protocol with these limits."""
    return type("Prompt", (PromptProtocol,), {"limits": limits})
