"""How the folder of one training is laid out: by whoever trains, and by whoever replays a segment of it.

    checkpoints/step-000100/   model.safetensors, optimizer.safetensors, state.json
    checkpoints.json           the chain of checkpoints, written after the checkpoint that it ends in
    metrics.jsonl              a line for each step
    environment.json           the machine and the software that trained

A checkpoint's folder has the name of its branch on a Hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WEIGHTS = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
CHECKPOINTS = "checkpoints"
CHAIN = "checkpoints.json"
METRICS = "metrics.jsonl"
ENVIRONMENT = "environment.json"


def step_name(step: int) -> str:
    """What the checkpoint after `step` steps is called: its folder, and its branch on a Hub."""
    return f"step-{step:06d}"


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """Where one training keeps what it made."""

    root: Path
    """The folder."""
    """The folder."""

    @property
    def chain(self) -> Path:
        """The file of the chain."""
        return self.root / CHAIN

    @property
    def metrics(self) -> Path:
        """The file of metrics."""
        return self.root / METRICS

    @property
    def environment(self) -> Path:
        """The file that says what trained."""
        return self.root / ENVIRONMENT

    @property
    def checkpoints(self) -> Path:
        """The folder of all checkpoints."""
        return self.root / CHECKPOINTS

    def checkpoint(self, step: int) -> Path:
        """The folder of the checkpoint after `step` steps."""
        return self.checkpoints / step_name(step)
