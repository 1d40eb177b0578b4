"""AdamW in its fused form, which gave the same bits on every CPU, for tensors of any size.

torch computes most numbers of a tensor in vectors, and those at its end one by one, and rounds the two otherwise. Where
processes share a tensor, its parts have other ends. So a tensor that does not fill whole vectors is computed in memory
that does: every number in a vector, wherever a process's part begins and ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pipelines.params import Train

LANES = 64
"""Numbers of whole vectors, on every CPU: the widest vectors have 16."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Where one tensor is computed."""

    tensor: torch.Tensor
    """The tensor."""
    memory: torch.Tensor
    """The tensor itself, or memory for it that fills whole vectors."""

    @staticmethod
    def of(tensor: torch.Tensor) -> Lane:
        """Such memory where `tensor` needs it."""
        left = -tensor.numel() % LANES
        return Lane(tensor, tensor.new_zeros(tensor.numel() + left) if left else tensor)

    def seen(self, memory: torch.Tensor) -> torch.Tensor:
        """What belongs to the tensor, of such `memory`, in the tensor's shape."""
        return memory.view(-1)[: self.tensor.numel()].view(self.tensor.shape)

    def take(self, gradient: torch.Tensor) -> None:
        """Let the memory have the tensor's numbers and their gradient."""
        if self.memory is self.tensor:
            self.memory.grad = gradient
            return
        self.memory.grad = torch.zeros_like(self.memory)
        self.seen(self.memory).copy_(self.tensor)
        self.seen(self.memory.grad).copy_(gradient)

    def give(self) -> None:
        """Let the tensor have what was computed."""
        if self.memory is not self.tensor:
            self.tensor.copy_(self.seen(self.memory))
        self.memory.grad = None


class VectorAdamW:
    """The optimizer of `tensors`, by name, with state that starts at zero. Matrices are decayed, vectors are not."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], settings: Train) -> None:
        self._lanes = {name: Lane.of(tensor) for name, tensor in tensors.items()}
        matrices = [lane.memory for lane in self._lanes.values() if lane.tensor.ndim >= 2]
        vectors = [lane.memory for lane in self._lanes.values() if lane.tensor.ndim < 2]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            fused=True,
        )
        for lane in self._lanes.values():
            self._optimizer.state[lane.memory] = {
                "step": torch.zeros((), dtype=torch.float32, device=lane.memory.device),
                "exp_avg": torch.zeros_like(lane.memory),
                "exp_avg_sq": torch.zeros_like(lane.memory),
            }

    def state(self) -> dict[str, dict[str, torch.Tensor]]:
        """Both moments, in the tensor's shape, and the number of steps, by name: the memory itself."""
        return {
            name: {
                key: lane.seen(tensor) if tensor.ndim else tensor
                for key, tensor in self._optimizer.state[lane.memory].items()
            }
            for name, lane in self._lanes.items()
        }

    def update(self, gradient: Mapping[str, torch.Tensor], rate: float) -> None:
        """Take one step down `gradient`, by name, at the learning rate `rate`."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.no_grad():
            for name, lane in self._lanes.items():
                lane.take(gradient[name])
            self._optimizer.step()
            for lane in self._lanes.values():
                lane.give()
