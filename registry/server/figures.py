"""What the server tells of itself in figures, as Prometheus reads them."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping

BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0)
"""Upper ends, in seconds, of the histogram of durations; one more has no end."""
PREFIX = "glasshouse_hub_"
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_NAMES = (*_CLASSES, "sent", "received", "microseconds", "started", *map(str, BUCKETS), "+Inf")
_WIDTH = 8 * len(_NAMES)


class Figures:
    """Counters in memory that the workers of one server share.

    Each worker writes a row of its own, so none waits for another; a scrape of any of them adds the rows up.
    """

    def __init__(self, workers: int = 1) -> None:
        self._rows = workers
        self._memory = mmap.mmap(-1, _WIDTH * workers)
        self.row = 0

    def add(self, name: str, amount: int = 1) -> None:
        """Count."""
        place = self.row * _WIDTH + 8 * _NAMES.index(name)
        (before,) = struct.unpack_from("<Q", self._memory, place)
        struct.pack_into("<Q", self._memory, place, before + amount)

    def answer(self, status: int, seconds: float, *, sent: int, received: int) -> None:
        """Count a request that was answered. sent, received: bytes of the bodies."""
        self.add(_CLASSES[status // 100 - 1])
        self.add("sent", sent)
        self.add("received", received)
        self.add("microseconds", int(seconds * 1e6))
        self.add(next((str(end) for end in BUCKETS if seconds <= end), "+Inf"))

    def settle(self, row: int) -> None:
        """A worker has died: what it had begun is not in progress any more."""
        place, begun = row * _WIDTH, _NAMES.index("started")
        done = sum(struct.unpack_from("<5Q", self._memory, place))
        struct.pack_into("<Q", self._memory, place + 8 * begun, done)

    def total(self, name: str) -> int:
        """The sum over all workers."""
        places = (row * _WIDTH + 8 * _NAMES.index(name) for row in range(self._rows))
        return sum(struct.unpack_from("<Q", self._memory, place)[0] for place in places)

    def render(self) -> str:
        """Source: Prometheus, text exposition format 0.0.4."""
        lines = told("requests_total", "counter", "Requests that were answered, by the class of the status.",
                     {f'{{status="{name}"}}': self.total(name) for name in _CLASSES})  # fmt: skip
        for name, words in (("sent", "Bytes of bodies that were sent."), ("received", "Bytes of bodies that came.")):
            lines += told(f"{name}_bytes_total", "counter", words, {"": self.total(name)})
        under_way = max(0, self.total("started") - sum(map(self.total, _CLASSES)))
        lines += told("requests_in_progress", "gauge", "Requests that are not answered yet.", {"": under_way})
        lines += told("request_seconds", "histogram", "Seconds from a request's head to the end of its answer.", {})
        count = 0
        for name in (*map(str, BUCKETS), "+Inf"):
            count += self.total(name)
            lines += [f'{PREFIX}request_seconds_bucket{{le="{name}"}} {count}']
        lines += [f"{PREFIX}request_seconds_sum {self.total('microseconds') / 1e6}"]
        lines += [f"{PREFIX}request_seconds_count {count}"]
        return "\n".join(lines) + "\n"


def told(name: str, kind: str, words: str, values: Mapping[str, float]) -> list[str]:
    """The lines of one metric. values: {its labels, in braces, or nothing: its value}."""
    name = f"{PREFIX}{name}"
    return [
        f"# HELP {name} {words}",
        f"# TYPE {name} {kind}",
        *(f"{name}{labels} {each}" for labels, each in values.items()),
    ]
