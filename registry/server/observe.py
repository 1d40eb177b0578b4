"""What the server tells of itself: a line of JSON for each request, and figures for Prometheus.

Neither names a token, a signature or a query: only the path.
"""

from __future__ import annotations

import json
import mmap
import struct
import time
from typing import Any, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0)
"""Upper ends, in seconds, of the histogram of durations; one more has no end."""
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
        lines = ["# TYPE glasshouse_hub_requests_total counter"]
        lines += [f'glasshouse_hub_requests_total{{status="{name}"}} {self.total(name)}' for name in _CLASSES]
        for name in ("sent", "received"):
            lines += [f"# TYPE glasshouse_hub_{name}_bytes_total counter"]
            lines += [f"glasshouse_hub_{name}_bytes_total {self.total(name)}"]
        done = sum(map(self.total, _CLASSES))
        lines += ["# TYPE glasshouse_hub_requests_in_progress gauge"]
        lines += [f"glasshouse_hub_requests_in_progress {max(0, self.total('started') - done)}"]
        lines += ["# TYPE glasshouse_hub_request_seconds histogram"]
        count = 0
        for name in (*map(str, BUCKETS), "+Inf"):
            count += self.total(name)
            lines += [f'glasshouse_hub_request_seconds_bucket{{le="{name}"}} {count}']
        lines += [f"glasshouse_hub_request_seconds_sum {self.total('microseconds') / 1e6}"]
        lines += [f"glasshouse_hub_request_seconds_count {count}"]
        return "\n".join(lines) + "\n"


class Observed:
    """Outermost: sees every request and its answer, also those that are declined or break."""

    def __init__(self, app: ASGIApp, figures: Figures | None, log: TextIO | None) -> None:
        self._app = app
        self._figures = figures
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        seen: dict[str, Any] = {"status": 0, "sent": 0, "received": 0, "user": None}
        started = time.monotonic()

        async def heard() -> Message:
            message = await receive()
            seen["received"] += len(message.get("body", b""))
            return message

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
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
            status = seen["status"] or 500
            self._figures.add(_CLASSES[int(status) // 100 - 1])
            for name in ("sent", "received"):
                self._figures.add(name, int(seen[name] or 0))
            self._figures.add("microseconds", int(seconds * 1e6))
            self._figures.add(next((str(end) for end in BUCKETS if seconds <= end), "+Inf"))
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
