"""pipelines.cores: no more threads compute than may, and more while the training waits."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.cores import Cores

PATIENCE = 30


def at_once(cores: Cores, threads: int) -> int:
    """How many of so many threads computed at once, at most."""
    lock, now, most = threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal now, most
        for _ in range(20):
            with cores:
                with lock:
                    now += 1
                    most = max(most, now)
                with lock:
                    now -= 1

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return most


@pytest.mark.parametrize(("idle", "most"), [(0, 1), (1, 1), (3, 3)])
def test_so_many_compute_as_there_are_idle_cores(idle: int, most: int) -> None:
    assert at_once(Cores(idle), 6) <= most


def test_those_of_the_training_compute_too_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    cores, all_here = Cores(1), threading.Barrier(3)

    def work(_: int) -> None:
        with cores:
            all_here.wait(PATIENCE)

    with ThreadPoolExecutor(3) as pool, cores.lent():
        list(pool.map(work, range(3)))
    assert at_once(cores, 4) == 1
