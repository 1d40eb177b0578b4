"""Which rows of a parameter this process holds: all of them, or, of one that FSDP2 shares among processes, its own.

Rows are along the first dimension. Process r of W holds rows r c to (r + 1) c, where c is their number over W, rounded
up: the last processes may hold fewer, or none.
"""

from __future__ import annotations

import torch
from torch.distributed.tensor import DTensor


def own(tensor: torch.Tensor) -> torch.Tensor:
    """The rows that are here, of a parameter or of what has its shape: the same memory, without a gradient."""
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach()


def held(tensor: torch.Tensor) -> slice:
    """Which rows those are."""
    if not isinstance(tensor, DTensor):
        return slice(0, tensor.shape[0] if tensor.ndim else 1)
    share = -(-tensor.shape[0] // tensor.device_mesh.size())
    first = min(tensor.device_mesh.get_local_rank() * share, tensor.shape[0])
    return slice(first, first + len(own(tensor)))
