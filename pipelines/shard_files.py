"""Tensors that many processes share, in safetensors files: by torch.distributed.checkpoint, without a second copy.

    plan     once for all checkpoints: which rows each process writes, and where in the files they lie
    write    each process its rows, where they belong: a file is the same, byte for byte, as one process would write
    hash     when all have written: each file, and each of its tensors apart, by the process to which it was dealt

While they hash, all processes flush the files to the disk.

Laws: a file that is written is that of `safetensors.torch.save_file` with the metadata `{"format": "pt"}`. What `save`
says of it is what `sha256_file` and `tensors_digest` find in it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors import safe_open
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from pipelines import rows, tensor_files
from pipelines.cores import Cores
from pipelines.tensor_files import NAMES, Tensors
from registry.digest import Progress
from registry.errors import InputError
from registry.parallel import for_each
from registry.records.checkpoint_chain import FileDigests
from registry.tensors import begun, joined

T = TypeVar("T")

PIECE = 1 << 18
"""Bytes of a file that are read at a time, to be hashed. Measured: so many stay in a core's cache."""


@dataclass(frozen=True, slots=True)
class HashedPart:
    """What has a digest of its own.

    file: the name of the file that it lies in.  start: its first byte there.  size: bytes.  tensor: its name; None of
    the whole file.  dtype, shape: the tensor's.
    """

    file: str
    start: int
    size: int
    tensor: str | None = None
    dtype: str = ""
    shape: tuple[int, ...] = ()

    def digest(self, folder: Path, told: Progress) -> str:
        """Its SHA-256, read from the file in `folder`; a tensor's as in `registry.tensors.tensor_digests`."""
        digest = sha256() if self.tensor is None else begun(self.dtype, self.shape)
        piece, left = memoryview(bytearray(PIECE)), self.size
        with (folder / self.file).open("rb", buffering=0) as stream:
            stream.seek(self.start)
            while left:
                count = stream.readinto(piece[:left])
                if not count:
                    raise InputError(f"{folder / self.file} ends early", mend="let all processes see one disk")
                digest.update(piece[:count])
                told(count)
                left -= count
        return digest.hexdigest()


class _Lying:
    """How the tensors of a file lie in it: its header, its bytes in all, and where each tensor begins, by its name."""

    def __init__(self, tensors: Tensors) -> None:
        told = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
        self.header, self.starts = tensor_files.layout(told)
        self.size = len(self.header) + sum(map(_size, tensors.values()))

    def parts(self, file: str, tensors: Tensors) -> list[HashedPart]:
        """The file called `file`, and each of its `tensors`."""
        apart = [
            HashedPart(file, self.starts[name], _size(tensor), name, NAMES[tensor.dtype], tuple(tensor.shape))
            for name, tensor in tensors.items()
        ]
        return [HashedPart(file, 0, self.size), *apart]


class SharedFiles:
    """Files of tensors, each of which has rows here and in other processes. They are written again and again."""

    def __init__(self, files: Mapping[str, Tensors], group: dist.ProcessGroup) -> None:
        """files: by their names, the tensors of each, in memory that is written each time.  group: who shares them."""
        self._tensors = {f"{file}/{name}": tensor for file, named in files.items() for name, tensor in named.items()}
        lying = {file: _Lying(named) for file, named in files.items()}
        parts = [part for file, named in files.items() for part in lying[file].parts(file, named)]
        self._mine = dealt(parts, dist.get_world_size(group))[dist.get_rank(group)]
        self._group, self._writer, self._planner, self._names = group, _Writer(lying), _Planner(), tuple(files)

    def save(self, folder: Path | None, cores: Cores | None = None) -> dict[str, FileDigests]:
        """Write them, none of which is there yet, and flush them to the disk. The digests of each, by its name.

        Every process calls this. folder: process 0 says it, and all see it.  cores: as in `tensor_files.save`. Raises,
        in each process, what went wrong in the first that failed.
        """
        self._writer.folder = folder
        try:
            dcp.save(  # type: ignore[attr-defined]
                self._tensors, storage_writer=self._writer, planner=self._planner, process_group=self._group
            )
        except CheckpointException as problem:
            raise problem.failures[min(problem.failures)][0] from problem
        found: dict[HashedPart, str] = {}
        for more in _of_each(partial(self._flushed, cores), self._group):
            found |= more
        return {name: _digests(name, found) for name in self._names}

    def _flushed(self, cores: Cores | None) -> dict[HashedPart, str]:
        """Flush all, and hash what was dealt to this process."""
        folder = self._writer.folder
        assert folder is not None
        jobs: list[Callable[[Progress], dict[HashedPart, str]]] = [
            partial(_flush, folder / name) for name in self._names
        ]
        jobs += [partial(_hash, parts, folder, cores) for parts in dealt(self._mine, os.cpu_count() or 1) if parts]
        found: dict[HashedPart, str] = {}
        for more in for_each(lambda job, told: job(told), jobs, workers=len(jobs)):
            found |= more
        return found


def dealt(parts: Iterable[HashedPart], count: int) -> list[list[HashedPart]]:
    """`parts` in `count` lists of about as many bytes: the largest first, each to the list that has the fewest."""
    lists: list[list[HashedPart]] = [[] for _ in range(count)]
    sizes = [0] * count
    for part in sorted(parts, key=lambda part: -part.size):
        least = sizes.index(min(sizes))
        lists[least].append(part)
        sizes[least] += part.size
    return lists


def fill(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Copy into `tensors` the rows that are here of those of their names in the file at `path`."""
    with safe_open(path, framework="numpy") as file, torch.no_grad():
        for name, tensor in tensors.items():
            lying = file.get_slice(name)
            place = rows.held(tensor)
            found = lying[place] if tensor.ndim else file.get_tensor(name)
            rows.own(tensor).copy_(torch.from_numpy(found))


class _Planner(DefaultSavePlanner):
    """Plans the first checkpoint. Those after it have the same tensors in the same places."""

    def __init__(self) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._known: SavePlan | None = None

    def create_local_plan(self) -> SavePlan:
        """What is here; nothing where that is known."""
        return super().create_local_plan() if self._known is None else SavePlan([])

    def create_global_plan(self, all_plans: list[SavePlan]) -> tuple[list[SavePlan], Metadata]:
        """Who writes what; nothing where that is known."""
        return super().create_global_plan(all_plans) if self._known is None else (all_plans, Metadata({}))

    def finish_plan(self, new_plan: SavePlan) -> SavePlan:
        """What this process writes, to where process 0 says now."""
        if self._known is None:
            self._known = super().finish_plan(new_plan)
        return replace(self._known, storage_data=new_plan.storage_data)


class _Writer(StorageWriter):
    """Where torch.distributed.checkpoint writes: every process into the same files."""

    def __init__(self, files: Mapping[str, _Lying]) -> None:
        """files: how each lies, by its name."""
        self._files = files
        self.folder: Path | None = None
        """Where they are."""

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing has to be forgotten."""

    def set_up_storage_writer(self, is_coordinator: bool, *_: Any, **__: Any) -> None:
        """Nothing has to be made ready."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """This process writes all that it is asked to."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """In process 0: write the headers, and tell the others where."""
        assert self.folder is not None
        for name, lying in self._files.items():
            with (self.folder / name).open("xb") as file:
                file.write(lying.header)
                file.truncate(lying.size)
        return [replace(plan, storage_data=str(self.folder)) for plan in plans]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write this process's rows."""
        self.folder = Path(plan.storage_data)
        with ExitStack() as stack:
            files = {name: stack.enter_context((self.folder / name).open("r+b")) for name in self._files}
            for item in plan.items:
                assert item.tensor_data is not None
                data = planner.resolve_data(item)
                assert isinstance(data, torch.Tensor)
                row = math.prod(item.tensor_data.size[1:]) * data.element_size()
                before = item.tensor_data.chunk.offsets[0] * row if item.tensor_data.size else 0
                file, _, name = item.index.fqn.partition("/")
                files[file].seek(self._files[file].starts[name] + before)
                files[file].write(tensor_files.data(data))
        future: Future[list[WriteResult]] = Future()
        future.set_result([])
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """The headers say all; no file of metadata is written."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """None is asked for."""
        return checkpoint_id is None

    def storage_meta(self) -> StorageMeta | None:
        """Nothing is told."""
        return None


def _of_each(work: Callable[[], T], group: dist.ProcessGroup) -> list[T]:
    """What `work` returns in each process. Raises, in each of them, what it raised in the first that failed."""
    said: T | Exception
    try:
        said = work()
    except Exception as problem:  # noqa: BLE001
        said = problem
    all_: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(all_, said, group=group)
    for each in all_:
        if isinstance(each, Exception):
            raise each
    return all_


def _size(tensor: torch.Tensor) -> int:
    """Bytes of all rows, wherever they are."""
    return math.prod(tensor.shape) * tensor.element_size()


def _digests(file: str, found: Mapping[HashedPart, str]) -> FileDigests:
    mine = {part.tensor: digest for part, digest in found.items() if part.file == file}
    apart = {name: digest for name, digest in mine.items() if name is not None}
    return FileDigests(file=mine[None], tensors=joined(apart))


def _flush(path: Path, _: Progress) -> dict[HashedPart, str]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return {}


def _hash(parts: Sequence[HashedPart], folder: Path, cores: Cores | None, told: Progress) -> dict[HashedPart, str]:
    with cores or nullcontext():
        return {part: part.digest(folder, told) for part in parts}
