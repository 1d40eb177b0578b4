"""kill -9 of the server, workers and all, at random moments of mixed reading and writing: the store passes its check.

GLASSHOUSE_BENCH_KILLS (20) and GLASSHOUSE_BENCH_CLIENTS (8) make it smaller.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from registry.hub.client import HubClient
from registry.server.check import examine
from tests.bench.hub import REPO, Client, workers
from tests.hub_instance import HubInstance

KILLS = int(os.environ.get("GLASSHOUSE_BENCH_KILLS", 20))
CLIENTS = int(os.environ.get("GLASSHOUSE_BENCH_CLIENTS", 8))
PART_SIZE = 64 << 10
"""So small that each upload comes in parts."""


def main() -> None:
    """KILLS deaths of one store, one after the other; it is checked after each."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    chance, counts = random.Random(20_261_125), Counter[int]()
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        root = Path(name) / "hub"
        for number in range(KILLS):
            counts += killed(root, chance.uniform(0.2, 3.0), CLIENTS, number)
            found = examine(root)
            assert not found.faults, found.faults
        print(f"{KILLS} kills amid {counts.total()} answers of {CLIENTS} clients: {dict(sorted(counts.items()))}")
        print(f"store: {found.repositories} repositories, {found.blobs} blobs, no faults after any of them")


def killed(root: Path, delay: float, clients: int, seed: int = 0) -> Counter[int]:
    """Serve `root` to so many clients, and kill every process of the server after `delay` seconds of it.

    Every commit that was answered is there afterwards. Answers by status.
    """
    with HubInstance.start(root, part_size=PART_SIZE, options=("--workers", "2")) as hub:
        HubClient(hub.url, hub.token).repos.ensure(REPO)
        pool = [Client(hub, number + seed * clients) for number in range(clients)]
        with ThreadPoolExecutor(clients) as threads:
            running = [threads.submit(_until_it_dies, client) for client in pool]
            time.sleep(delay)
            processes = [hub.process.pid, *workers(hub)]
            for process in processes:
                os.kill(process, signal.SIGKILL)
            for job in running:
                job.result()
        hub.process.wait()
    promised = {commit for client in pool for commit in client.commits}
    with HubInstance.start(root) as hub:
        history = HubClient(hub.url, hub.token).refs.history(REPO)
        assert promised <= set(history), f"{len(promised - set(history))} commits were answered, and are gone"
    return sum((client.counts for client in pool), Counter[int]())


def _until_it_dies(client: Client) -> None:
    """Ask until nobody answers any more."""
    with closing(client), suppress(OSError, http.client.HTTPException):
        while True:
            client.step()


if __name__ == "__main__":
    main()
