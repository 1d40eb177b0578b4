"""The processes of a training, seen from within one of them: which it is, and how it speaks to the others.

They find one another through a file where `pipelines.supervise` started them, and through torchrun's store where
torchrun did. Those that make up the largest power of two train. The others wait: torchrun takes one up in another's
place when it starts all processes anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from registry.errors import Unavailable
from registry.variables import LOCAL_RANK, LOCAL_WORLD_SIZE, RANK, RENDEZVOUS, WORLD_SIZE

if TYPE_CHECKING:  # it loads torch, which has to come after the profile
    from pipelines.determinism import Profile
    from pipelines.params import Torchrun

OVER = "over"
"""What process 0 leaves in the store when the training has ended."""
AGAIN = "start it again: it goes on from the last checkpoint"
GLOO = "gloo"
"""What stands in each error of gloo's: torch has no class for them. A lost process is one."""
POLL_SECONDS = 0.5
PATIENCE = 1800
"""Seconds that a process waits for another of the same machine, which its supervisor watches."""


@dataclass(frozen=True, slots=True)
class WorkerRank:
    """Which of how many processes this is."""

    rank: int = 0
    """Its number. One that is not below `world` is a spare: it does not train."""
    world: int = 1
    """How many train: a power of two."""
    started: int = 1
    """How many there are, with the spare ones."""
    idle: int = 0
    """How many cores of this machine none of them computes on: for what is done beside the training."""

    @property
    def spare(self) -> bool:
        """Whether it only waits."""
        return self.rank >= self.world


def of_environment(leaves: int) -> WorkerRank:
    """What RANK and WORLD_SIZE say, for steps of `leaves` micro-batches."""
    started = int(os.environ[WORLD_SIZE])
    world = 1 << min(started, leaves).bit_length() - 1
    here = int(os.environ.get(LOCAL_WORLD_SIZE, started))
    idle = max(0, len(os.sched_getaffinity(0)) - here)
    return WorkerRank(rank=int(os.environ[RANK]), world=world, started=started, idle=idle)


@contextmanager
def joined(profile: Profile, place: WorkerRank, launch: Torchrun | None = None) -> Iterator[None]:
    """The process group of all that train; none where one trains alone. A spare process waits here for its end.

    Under `launch`, a process that hears nothing of another for `launch.patience` seconds ends in an error.
    """
    if place.started == 1:
        yield
        return
    store = _store(place)
    if place.spare:
        while not store.check([OVER]):
            time.sleep(POLL_SECONDS)
        yield
        return
    with _process_group(profile, place, store, patience(launch)):
        yield
    if place.rank == 0:
        store.set(OVER, "")


def beside(launch: Torchrun | None) -> Any:
    """A second group of the same processes, on their CPUs, for what a thread of each does beside the training."""
    import torch.distributed as dist

    return dist.new_group(backend="gloo", timeout=timedelta(seconds=patience(launch)))


def patience(launch: Torchrun | None) -> int:
    """Seconds of silence after which a process takes another one for lost."""
    return launch.patience if launch else PATIENCE


@contextmanager
def _process_group(profile: Profile, place: WorkerRank, store: Any, seconds: int) -> Iterator[None]:
    if place.world == 1:
        yield
        return
    import torch.distributed as dist

    backend = "nccl" if profile.device == "cuda" else "gloo"
    with _loss_told():
        dist.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.world, timeout=timedelta(seconds=seconds)
        )
        try:
            yield
            dist.barrier()  # nobody leaves while another still has something to receive
        finally:
            dist.destroy_process_group()


@contextmanager
def _loss_told() -> Iterator[None]:
    """Raise Unavailable for an error by which torch says that another process is gone: the training has none."""
    try:
        yield
    except RuntimeError as problem:
        from torch.distributed import DistError

        if isinstance(problem, DistError) or GLOO in str(problem):
            raise Unavailable(f"another process is gone: {str(problem)[:300]}", mend=AGAIN) from problem
        raise


def _store(place: WorkerRank) -> Any:
    import torch.distributed as dist

    if meeting := os.environ.get(RENDEZVOUS):  # not by a URL of the file, which would end at a # in its name
        return dist.FileStore(meeting, place.started)  # type: ignore[attr-defined]
    store, _, _ = next(iter(dist.rendezvous("env://")))  # type: ignore[attr-defined]
    return store


def take_device(profile: Profile) -> None:
    """Let each process of a machine have a GPU of its own, by LOCAL_RANK; nothing under a profile of the CPU."""
    if profile.device == "cuda":
        import torch

        torch.cuda.set_device(int(os.environ.get(LOCAL_RANK, "0")))
