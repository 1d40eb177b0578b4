"""Which engine does a piece of work: the one that params.yaml names, or the one that an audit asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.engine.cluster import Cluster
from pipelines.engine.local import Alone, Processes, processes
from pipelines.engine.work import Engine, Work
from pipelines.params import EngineSettings
from registry import variables
from registry.errors import InputError


@contextmanager
def started(wanted: EngineSettings, work: Work) -> Iterator[Engine]:
    """The engine that is `wanted`, ready for `work`; it ends with the block. Raises as the engines do."""
    if _kind(wanted) == "ray":
        with Cluster.connected(work, wanted.address) as cluster:
            yield cluster
    elif (count := processes()) > 1:
        with Processes.started(work, count) as several:
            yield several
    else:
        yield Alone(work)


def _kind(wanted: EngineSettings) -> str:
    asked = os.environ.get(variables.ENGINE) or wanted.kind
    if asked not in ("local", "ray"):
        raise InputError(f"{variables.ENGINE} is {asked[:50]!r}, not local or ray", mend=f"unset {variables.ENGINE}")
    return asked
