"""HTTP on the wire, as uvicorn speaks it, that hangs up on who crawls."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from registry.server.access.limits import ServerLimits, Shares


class PromptProtocol(H11Protocol):
    """HTTP that hangs up on a client whose request's head is not whole after `head_seconds`, drop by drop or not.

    Also on one that has taken nothing of a waiting answer for `send_seconds`, and at once on an address that has
    `address_connections` already, or for which as much waits as it may have of the memory of bodies.
    """

    limits: ServerLimits
    open: Shares
    waiting: Shares
    proxies: tuple[IPv4Network | IPv6Network, ...]
    _address: str | None = None
    _head: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None
    _held: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection opens: its first head is awaited."""
        address = (transport.get_extra_info("peername") or ("?",))[0]
        if not self._is_proxy(address):
            if self.open.take(address):
                self._address = address
            else:
                transport.abort()
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
        self._hold()
        self._await_taking()

    def resume_writing(self) -> None:
        """The client has taken what waited."""
        self._stop_answer()
        self._let_go()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and so is the wait."""
        self._stop_head()
        self._stop_answer()
        self._let_go()
        if self._address is not None:
            self.open.give_back(self._address)
            self._address = None
        super().connection_lost(exc)

    def _is_proxy(self, address: str) -> bool:
        """Whether many clients share this address."""
        return bool(self.proxies) and any(ip_address(address) in network for network in self.proxies)

    def _await_head(self) -> None:
        self._head = self.loop.call_later(self.limits.head_seconds, self.transport.close)

    def _await_taking(self, before: int | None = None) -> None:
        """Hang up unless less waits than `before`; look again later."""
        waiting = self.transport.get_write_buffer_size()
        if before is not None and waiting >= before:
            self.transport.abort()
        else:
            self._answer = self.loop.call_later(self.limits.send_seconds, self._await_taking, waiting)

    def _hold(self) -> None:
        """Count what waits for an address, but for a proxy's; hang up where that is too much."""
        size = self.transport.get_write_buffer_size()
        if self._address is None or self._held is not None:
            return
        if self.waiting.take(self._address, size):
            self._held = self._address, size
        else:
            self.transport.abort()

    def _let_go(self) -> None:
        if self._held is not None:
            self.waiting.give_back(*self._held)
            self._held = None

    def _stop_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_answer(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None


def prompt(limits: ServerLimits, proxies: tuple[str, ...] = ()) -> type[PromptProtocol]:
    """The protocol with these limits. proxies: addresses and networks that may have as many connections as all."""
    shares = Shares(sys.maxsize, limits.address_connections)
    waiting = Shares(limits.body_memory, limits.address_memory)
    known = {"limits": limits, "open": shares, "waiting": waiting, "proxies": tuple(map(ip_network, proxies))}
    return type("Prompt", (PromptProtocol,), known)
