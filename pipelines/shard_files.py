"""Tensors that many processes share, in one safetensors file: by torch.distributed.checkpoint, without a second copy.

Each process holds some rows of each tensor, and rows lie one after the other in the file. So each one writes its own
where they belong, and the file is the same, byte for byte, as one process would write. Nothing is put together before.

Law: the file that `save` writes is that of `safetensors.torch.save_file` with the metadata `{"format": "pt"}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors import safe_open
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner, WriteItem
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from pipelines import rows, tensor_files


def save(tensors: Mapping[str, torch.Tensor], path: Path, group: dist.ProcessGroup) -> None:
    """Write `tensors` to `path`, a new file that all processes see. Every process of `group` calls this, with its rows.

    Raises, in each of them, what went wrong in the first that failed.
    """
    try:
        dcp.save(dict(tensors), storage_writer=SafetensorsWriter(path), process_group=group)  # type: ignore[attr-defined]
    except CheckpointException as problem:
        raise problem.failures[min(problem.failures)][0] from problem


def fill(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Copy into `tensors` the rows that are here of those of their names in the file at `path`."""
    with safe_open(path, framework="numpy") as file, torch.no_grad():
        for name, tensor in tensors.items():
            lying = file.get_slice(name)
            place = rows.held(tensor)
            found = lying[place] if tensor.ndim else file.get_tensor(name)
            rows.own(tensor).copy_(torch.from_numpy(found))


class SafetensorsWriter(StorageWriter):
    """Where torch.distributed.checkpoint writes: every process into one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing is kept from one checkpoint to the next."""

    def set_up_storage_writer(self, is_coordinator: bool, *_: Any, **__: Any) -> None:
        """Nothing has to be made ready."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """This process writes all that it is asked to."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """In one process: write the header, and tell the others where each tensor begins."""
        items = {item.index.fqn: item for plan in plans for item in plan.items}
        header, starts = tensor_files.layout({name: _described(item) for name, item in items.items()})
        end = max((starts[name] + _size(item) for name, item in items.items()), default=len(header))
        with self.path.open("xb") as file:
            file.write(header)
            file.truncate(end)
        return [replace(plan, storage_data=starts) for plan in plans]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write this process's rows."""
        done = []
        with self.path.open("r+b") as file:
            for item in plan.items:
                assert item.tensor_data is not None
                data = planner.resolve_data(item)
                assert isinstance(data, torch.Tensor)
                row = math.prod(item.tensor_data.size[1:]) * data.element_size()
                before = item.tensor_data.chunk.offsets[0] * row if item.tensor_data.size else 0
                file.seek(plan.storage_data[item.index.fqn] + before)
                file.write(tensor_files.data(data))
                done.append(WriteResult(item.index, data.numel() * data.element_size(), None))
        future: Future[list[WriteResult]] = Future()
        future.set_result(done)
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """The header says all; no file of metadata is written."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """A checkpoint is the path of a file."""
        return isinstance(checkpoint_id, Path)

    def storage_meta(self) -> StorageMeta | None:
        """Nothing is told."""
        return None


def _described(item: WriteItem) -> tuple[torch.dtype, tuple[int, ...]]:
    assert item.tensor_data is not None
    return item.tensor_data.properties.dtype, tuple(item.tensor_data.size)


def _size(item: WriteItem) -> int:
    dtype, shape = _described(item)
    return math.prod(shape) * dtype.itemsize
