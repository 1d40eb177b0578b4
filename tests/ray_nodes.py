"""A Ray cluster of two nodes on this machine, and how its processes die."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pipelines.engine.cluster import VARIABLES

STORE = 80 << 20
"""Bytes of memory for shards on a node: little more than what Ray asks for at least."""
PATIENCE = 300.0


def two_nodes() -> AbstractContextManager[Any]:
    """A cluster of two nodes with one core each; a driver runs on the first."""
    return cluster(2, 1, STORE)


@contextmanager
def cluster(nodes: int, cores: int, store: int) -> Iterator[Any]:
    """A cluster of so many nodes, each with `cores`, and `store` bytes of memory for shards."""
    os.environ.update(VARIABLES)
    from ray.cluster_utils import Cluster

    size = {"num_cpus": cores, "object_store_memory": store}
    found = Cluster()
    try:
        found.add_node(**size, include_dashboard=False)
        for _ in range(nodes - 1):
            found.add_node(**size)
        found.wait_for_nodes(timeout=PATIENCE)
        yield found
    finally:
        found.shutdown()


def wait_for_shards(out: Path, count: int) -> None:
    """Wait until the stage that writes `out` has kept `count` answers."""
    folder, deadline = out.with_name(f".{out.name}.shards"), time.monotonic() + PATIENCE
    while len(list(folder.glob("*/*"))) < count:
        assert time.monotonic() < deadline, f"{folder} never has {count} answers"
        time.sleep(0.02)


def kill_a_worker(cluster: Any) -> None:
    """SIGKILL to a process that works on a shard, on the second node."""
    (node,) = cluster.worker_nodes
    deadline = time.monotonic() + PATIENCE
    while not (busy := [child for child, name in _children(_raylet(node)).items() if name.startswith("ray::_work_on")]):
        assert time.monotonic() < deadline, "no process of the second node works on a shard"
    os.kill(busy[0], signal.SIGKILL)


def kill_a_node(cluster: Any) -> None:
    """SIGKILL to the second node: to what runs it, and to all that it started."""
    (node,) = cluster.worker_nodes
    for process in (*_children(_raylet(node)), _raylet(node)):
        os.kill(process, signal.SIGKILL)


def _raylet(node: Any) -> int:
    (found,) = node.all_processes["raylet"]
    return int(found.process.pid)


def _children(process: int) -> dict[int, str]:
    """The processes that a process started, by what they call themselves."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in listed}
