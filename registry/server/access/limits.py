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
    address_connections: int = 128
    """Those of them that are one address's; beyond them it is hung up on."""
    body_memory: int = 256 << 20
    """Bytes of bodies on their way that one worker holds in memory; beyond them 503."""
    address_memory: int = 64 << 20
    """Those of them that are one address's."""
    clones: int = 16
    """Clones that git packs at once, of one worker; others wait, then 503."""
    address_clones: int = 4
    """Those of them that are one address's."""
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


class Shares:
    """How much of something there is at once, and how much of it one address has. None ever has more than its share."""

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._all = 0
        self._of: dict[str, int] = {}

    def take(self, address: str, amount: int = 1) -> bool:
        """Take some more; False, and nothing taken, where there is not so much."""
        if self._all + amount > self._most or self._of.get(address, 0) + amount > self._each:
            return False
        self._all += amount
        self._of[address] = self._of.get(address, 0) + amount
        return True

    def give_back(self, address: str, amount: int = 1) -> None:
        """Give back some of what was taken."""
        self._all -= amount
        left = self._of.pop(address, 0) - amount
        if left > 0:
            self._of[address] = left
