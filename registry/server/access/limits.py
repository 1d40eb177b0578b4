"""What nobody gets more of: requests, connections that crawl, bytes, uploads."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

PART_SIZE = 64 << 20
MAX_CLIENTS = 10_000


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """One server's limits."""

    part_size: int = PART_SIZE
    """Bytes from which an upload comes in parts of that size."""
    quota: int | None = None
    """Bytes of a namespace; None for no end."""
    rate: float = 200.0
    """Requests a second of one address, on average, for each worker."""
    burst: int = 2000
    """Requests of one address at once, for each worker."""
    open_uploads: int = 1024
    """Uploads at once, of all workers."""
    user_uploads: int = 128
    """Those of them that are one user's."""
    connections: int = 512
    """Connections at once, of one worker; beyond them 503."""
    head_seconds: float = 30.0
    """For the head of a request."""
    idle_seconds: float = 60.0
    """For the next bytes of its body."""
    send_seconds: float = 60.0
    """To take the next bytes of an answer."""


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
