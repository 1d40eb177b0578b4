"""A Ray cluster: the one door to ray.

A shard goes to a node that is free. Where a process or a node dies, Ray gives what it had to another. The driver needs
no folder in common with the nodes; they need the same code, Python and packages, and one that has others is refused.
Source: Ray, "Fault tolerance": tasks are tried again when their process dies, and lost answers are made again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines.engine import rows
from pipelines.engine.identity import own_identity
from pipelines.engine.local import processes
from pipelines.engine.work import Answer, Work
from registry.errors import GlasshouseError, Unavailable
from registry.extras import needed

if TYPE_CHECKING:
    from types import ModuleType

HERE = "local"
"""What Ray calls a cluster that it starts on this machine, and ends with the process."""
ADDRESS = "RAY_ADDRESS"
"""Ray's own variable: where the cluster is, if params.yaml does not say it."""
PATIENCE = 10.0
"""Seconds to wait for a cluster's first answer. Without this question first, Ray would ask for minutes."""
PIECE = 96 << 10
"""Bytes of a piece of a shard. Ray sends less than 100 KiB with the question itself. More would go through the memory
of the nodes, and a process be asked for anew for each shard."""
PIECES = 32
"""How many pieces there are. Where that is not enough, they are larger, and go through the memory of the nodes."""
TASK = {"num_cpus": 1, "max_retries": 10}
"""What a shard takes, and how often it is begun anew because its process or node died."""
STORE = 256 << 20
"""Bytes of memory for shards and answers, of a cluster that is started here. What is more goes to the disk."""
VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_gcs_server_request_timeout_seconds": "300",
    "RAY_gcs_rpc_server_connect_timeout_s": "60",
    "RAY_health_check_timeout_ms": "120000",
    "RAY_worker_lease_timeout_milliseconds": "600000",
}
"""Set, unless they are set already: Ray tells nobody that it was used, its processes wait for no others, and on a busy
machine one may take minutes to start and to answer. One whose connection breaks is dead all the same. A process that
works on shards keeps its core for ten minutes. With Ray's own half a second, on a busy machine, one of two nodes
was once seen to do 3 of 48 shards, and the other the rest."""

_works: dict[str, Work] = {}
"""What a worker does, by a digest; one at a time."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to."""

    ray: ModuleType
    """The library."""
    task: Any
    """What Ray runs for each shard."""
    work: list[Any]
    """Where the nodes get the work from: in a list, so that one that has it does not ask."""
    digest: str
    """Which work it is."""
    width: int
    """How many shards its nodes work on at once."""

    @classmethod
    @contextmanager
    def connected(cls, work: Work, address: str | None) -> Iterator[Cluster]:
        """The cluster at `address`; else at RAY_ADDRESS; else one that is started here, and ends with the block.

        Raises Unavailable where ray is not installed, or the cluster does not answer.
        """
        for name, value in VARIABLES.items():
            os.environ.setdefault(name, value)
        with needed("ray"):
            import ray
        where = address or os.environ.get(ADDRESS) or HERE
        own = {"num_cpus": processes(), "object_store_memory": STORE, "include_dashboard": False}
        try:
            try:
                _probe(where)
                ray.init(where, log_to_driver=False, logging_level="error", **(own if where == HERE else {}))
                width = int(ray.cluster_resources().get("CPU", 0))
                found = cls(ray, ray.remote(**TASK)(_work_on), [ray.put(work)], work.digest, max(1, width))
            except Exception as problem:  # a node that does not start has no type of its own
                raise Unavailable(
                    f"the Ray cluster at {where} does not answer: {problem}"[:500],
                    mend="start it (ray start --head), mend engine.address in params.yaml, or set engine.kind to local",
                ) from problem
            yield found
        finally:
            ray.shutdown()

    def begin(self, shard: bytes) -> Answer:
        """Begin the work on a shard. The answer raises Unavailable where it was lost too often."""
        return partial(self._answer, self.task.remote(own_identity(), self.digest, self.work, *cut(shard)))

    def _answer(self, reference: Any) -> bytes:
        try:
            found: bytes = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as problem:
            if isinstance(problem.cause, GlasshouseError):
                raise problem.cause from None
            raise
        except self.ray.exceptions.RayError as problem:
            raise Unavailable(
                f"the Ray cluster lost a shard, and every try to do it again: {problem}"[:500],
                mend="look at the cluster (ray status), and run the stage again: it goes on from there",
            ) from problem
        return found


def _probe(where: str) -> None:
    """Raise OSError where nobody answers at HOST:PORT."""
    host, _, port = where.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), PATIENCE).close()


def cut(data: bytes) -> list[bytes]:
    """PIECES pieces, which are `data` one after the other; the last ones may be empty."""
    size = max(PIECE, -(-len(data) // PIECES))
    return [data[number * size : (number + 1) * size] for number in range(PIECES)]


def _work_on(wanted: str, digest: str, work: list[Any], *pieces: bytes) -> bytes:
    """What runs on a node. Raises Unavailable where its answers may be others than the driver's own."""
    if own_identity() != wanted:
        raise Unavailable(
            f"the node {os.uname().nodename} has other code, another Python or other packages than the driver",
            mend="install the same commit and the same requirements.lock on every node",
        )
    if digest not in _works:
        import ray

        rows.without_pandas()
        _works.clear()
        _works[digest] = ray.get(work[0])
    return _works[digest](b"".join(pieces))
