"""Parsers, one after the other, each until its time is over: python -m tests.fuzz.child PARSER,... SECONDS INPUT

The input at hand stands in the file INPUT before it is parsed, so that it is known where the process dies of it.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings

from registry.errors import GlasshouseError
from tests.fuzz.inputs import inputs
from tests.fuzz.parsers import PARSERS

MEMORY = 1 << 30
"""Bytes that a parser may take beyond what the process has when it is given its input."""
LIMIT = 10
"""Seconds of work for one input: by the process's own clock, for others may use the machine, too."""
WAIT = 120
"""Seconds by the clock on the wall, after which it hangs."""
ROUND = 100
"""Inputs of one run of Hypothesis: the time is looked at between them."""


class TooLong(Exception):
    """An input took more than LIMIT seconds."""


def main(names: list[str], seconds: float, kept: Path) -> None:
    """Feed each parser for so many seconds; what it may not do is raised, with the least input that does it."""
    signal.signal(signal.SIGPROF, _too_long)
    with tempfile.TemporaryDirectory() as folder, kept.open("wb", buffering=0) as at_hand:
        for name in names:
            _feed(name, seconds, Path(folder), at_hand)


def _feed(name: str, seconds: float, folder: Path, at_hand: FileIO) -> None:
    seeds = PARSERS[name].seeds()
    answered = [answers(name, data, folder) for data in seeds]
    assert any(answered), f"{name} refuses every valid input"
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    count, end = 0, time.monotonic() + seconds

    def feed(data: bytes) -> None:
        nonlocal count
        if time.monotonic() < end:
            count += 1
            at_hand.seek(0)
            at_hand.truncate()
            at_hand.write(data)
            with _bounded():
                answers(name, data, folder)

    once = settings(
        max_examples=ROUND, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    for number in range(1 << 30):
        seed(time.time_ns() + number)(once(given(inputs(seeds))(feed)))()
        if time.monotonic() >= end:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{name}: {count} inputs in {seconds:g} s, {len(seeds)} to begin from, {peak} MiB at most", flush=True)


def answers(name: str, data: bytes, place: Path) -> bool:
    """Whether the parser takes `data`; False where it says in our words why not."""
    faulthandler.dump_traceback_later(WAIT, exit=True)  # where it is deaf to signals, too
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        PARSERS[name].parse(data, place)
    except GlasshouseError:
        return False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
    return True


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLong(f"more than {LIMIT} seconds")


@contextmanager
def _bounded() -> Iterator[None]:
    """Within: no more than MEMORY is taken beyond what the process has now. What makes inputs is not bounded."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


if __name__ == "__main__":
    main(sys.argv[1].split(","), float(sys.argv[2]), Path(sys.argv[3]))
