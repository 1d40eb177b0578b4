"""Worker processes of one machine: started together, ended together.

They find one another as under `torchrun` (RANK, WORLD_SIZE), through a file instead of a port, over loopback. The pipe
that each has as its standard input closes when the supervisor dies, however it dies, and the worker ends with it. When
one worker dies, the others would wait for it for ever, so they are ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from registry.errors import InputError, Unavailable
from registry.variables import GLOO_SOCKET_IFNAME, PROCESSES, RANK, RENDEZVOUS, WORLD_SIZE

KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}
"""glibc is told not to give memory back between steps: 60,000 page faults a step less, for a model of 12 million."""
POLL_SECONDS = 0.2
DIED_WITH_SUPERVISOR = 143


def processes(leaves: int) -> int:
    """How many processes to use: the largest power of two that neither the cores nor `leaves` are fewer than.

    The variable GLASSHOUSE_PROCESSES overrides the cores. Raises InputError where it is not a power of two, or is more
    than `leaves`.
    """
    if (asked := os.environ.get(PROCESSES)) is not None:
        if not asked.isdecimal() or not 1 <= int(asked) <= leaves or int(asked) & (int(asked) - 1):
            raise InputError(
                f"{PROCESSES} is {asked!r}, not a power of two from 1 to {leaves}", mend=f"unset {PROCESSES}"
            )
        return int(asked)
    cores = len(os.sched_getaffinity(0))
    return 1 << min(cores, leaves).bit_length() - 1


def run(module: str, count: int, meanwhile: Callable[[], None]) -> None:
    """Run `python -m module` in `count` processes until all end well, calling `meanwhile` several times a second.

    Raises Unavailable where one was killed; where one ended in an error it has printed, SystemExit with its exit code.
    """
    with tempfile.TemporaryDirectory(prefix="glasshouse-") as folder:
        shared = {
            **KEEP_MEMORY, **os.environ, WORLD_SIZE: str(count), RENDEZVOUS: str(Path(folder) / "rendezvous"),
            GLOO_SOCKET_IFNAME: "lo",
        }  # fmt: skip
        command = [sys.executable, "-m", module]
        follow(
            [
                subprocess.Popen(command, env={**shared, RANK: str(rank)}, stdin=subprocess.PIPE)
                for rank in range(count)
            ],
            meanwhile,
        )


def follow(workers: Sequence[subprocess.Popen[bytes]], meanwhile: Callable[[], None]) -> None:
    """Wait until all `workers` end well, and raise as `run` does where one does not: then all are ended."""
    try:
        while any(worker.poll() is None for worker in workers):
            if failed := [worker.returncode for worker in workers if worker.returncode]:
                report(failed[0])
            meanwhile()
            time.sleep(POLL_SECONDS)
        if failed := [worker.returncode for worker in workers if worker.returncode]:
            report(failed[0])
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            if worker.stdin is not None:
                worker.stdin.close()


def end_with_supervisor() -> None:
    """In a worker: end this process as soon as its supervisor is gone, or the torchrun that started it."""
    if RENDEZVOUS in os.environ:
        end_when_input_closes()
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(DIED_WITH_SUPERVISOR)

    threading.Thread(target=watch, daemon=True).start()


def end_when_input_closes() -> None:
    """End this process when the other end of its standard input is closed."""

    def watch() -> None:
        os.read(0, 1)
        os._exit(DIED_WITH_SUPERVISOR)

    threading.Thread(target=watch, daemon=True).start()


def report(code: int) -> NoReturn:
    """Raise for a worker that ended with `code`, which is negative where a signal killed it: as `run` does."""
    if code > 0:
        raise SystemExit(code)
    raise Unavailable(
        f"a worker process was killed by signal {-code}", mend="run it again: it goes on from the last checkpoint"
    )
