"""Memory that the processes of one machine share: a file of the kernel's that is on no disk, and that each maps."""

from __future__ import annotations

import mmap
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def mapped(size: int, group: dist.ProcessGroup) -> tuple[torch.Tensor, bool]:
    """`size` bytes, and whether they are the same for all processes of `group`, which are on one machine then.

    Else they are this process's own. Every process calls this. The bytes are zeros, begin with a page of memory, and
    take none before they are written.
    """
    name = f"glasshouse-{secrets.token_hex(16)}"
    own = os.memfd_create(name)
    common = None
    try:
        os.ftruncate(own, size)
        told = [(os.getpid(), own, name)]
        dist.broadcast_object_list(told, group=group, group_src=0)
        common = _opened(*told[0])
        seen: list[Any] = [None] * dist.get_world_size(group)
        dist.all_gather_object(seen, common is not None, group=group)  # only then may process 0 close it
        chosen = own if common is None or not all(seen) else common
        memory = torch.frombuffer(mmap.mmap(chosen, size), dtype=torch.uint8)
    finally:
        os.close(own)
        if common is not None:
            os.close(common)
    return memory, chosen is common


def _opened(process: int, descriptor: int, name: str) -> int | None:
    """The memory of that name which `process` has open as `descriptor`; None where that is on another machine."""
    path = Path(f"/proc/{process}/fd/{descriptor}")
    with suppress(OSError):
        if str(path.readlink()) == f"/memfd:{name} (deleted)":
            return os.open(path, os.O_RDWR)
    return None
