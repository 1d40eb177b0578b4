"""A hundred commits at once to one repository of 8,000 files: whether anybody else waits.

Law: `/healthz` answers within 100 ms (99 of 100 times); a commit to another repository of the same namespace, and a
list of the files there, take less than twice their idle time.
What is asked of the busy one comes back as 200, as 412, or, after its turn did not come, as 503.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.request import urlopen

from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put

FILES = 8_000
AT_ONCE = 100


def main() -> None:
    """Make the repository, and ask."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    options = ("--rate", "10000", "--workers", "2")
    with tempfile.TemporaryDirectory() as name, HubInstance.start(Path(name) / "hub", options=options) as hub:
        _measured(hub)


def _measured(hub: HubInstance) -> None:
    for repo in ("busy", "other"):
        assert ask(hub, "POST", "/api/repos/create", {"name": repo, "organization": "glasshouse"})[0] == 200
    assert commit(hub, "glasshouse/busy", *(put(f"data/{n:05}.txt", str(n)) for n in range(FILES)))[0] == 200
    idle = [(_other(hub, f"idle-{n}"), _listed(hub)) for n in range(10)]
    others = list[tuple[float, float]]()
    here, there = get_context("spawn").Pipe()
    looks = get_context("spawn").Process(target=_look, args=(f"{hub.url}/healthz", there))
    looks.start()
    assert here.recv() == "ready"
    with ThreadPoolExecutor(AT_ONCE + 1) as pool:
        here.send("begin")
        busy = [pool.submit(commit, hub, "glasshouse/busy", put(f"new/{n}.txt")) for n in range(AT_ONCE)]
        while not all(one.done() for one in busy):
            others.append((_other(hub, f"busy-{len(others)}"), _listed(hub)))
    here.send("end")
    health: list[float] = sorted(here.recv())
    looks.join()
    worst = health[len(health) * 99 // 100]
    print(f"{AT_ONCE} commits: {dict(Counter(one.result()[0] for one in busy))}")
    print(f"/healthz, {len(health)} times: {worst * 1e3:.0f} ms at the 99th percentile")
    for place, label in enumerate(("a commit", "a list")):
        now, before = (statistics.median(each[place] for each in times) * 1e3 for times in (others, idle))
        print(f"{label} elsewhere: {now:.0f} ms, idle {before:.0f} ms")


def _look(url: str, told: Connection) -> None:
    """Ask for `url` from the beginning to the end, in a process of its own: the hundred take turns in theirs."""
    found = list[float]()
    told.send("ready")
    told.recv()
    while not told.poll(0.01):
        before = time.perf_counter()
        with urlopen(url, timeout=60) as answer:
            assert answer.status == 200
        found.append(time.perf_counter() - before)
    told.send(found)


def _other(hub: HubInstance, name: str) -> float:
    before = time.perf_counter()
    assert commit(hub, "glasshouse/other", put(f"{name}.txt"))[0] == 200
    return time.perf_counter() - before


def _listed(hub: HubInstance) -> float:
    before = time.perf_counter()
    assert ask(hub, "GET", "/api/models/glasshouse/other/tree/main?recursive=true")[0] == 200
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
