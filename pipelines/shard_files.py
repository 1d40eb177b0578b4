"""Tensors that many processes share, in safetensors files: by torch.distributed.checkpoint, without a second copy.

    plan     once for all checkpoints: which rows each process copies, and where in the files they lie
    take     each process copies its rows, where they belong: into memory that is laid out as the files
    write    the files
    hash     each file, and each of its tensors apart, by the process to which it was dealt

On one machine the processes share that memory. So it is whole when all have copied: process 0 writes it past the
system's cache, as `tensor_files` does, while all hash it. On several, each process has memory of its own, of which only
its rows are used. It writes those where they belong, and when all have, the files are flushed, and read to be hashed.

Laws: a file that is written is that of `safetensors.torch.save_file` with the metadata `{"format": "pt"}`. What `save`
says of it is what `sha256_file` and `tensors_digest` find in it. Memory holds each row once, wherever it is held.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import accumulate
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

from pipelines import rows, shared_memory, tensor_files
from pipelines.cores import Cores
from pipelines.tensor_files import CACHED, NAMES, Laid, Lying, Tensors
from registry.digest import Progress
from registry.errors import InputError
from registry.parallel import for_each
from registry.records.checkpoint_chain import FileDigests
from registry.tensors import begun, joined

T = TypeVar("T")


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

    def digest(self, pieces: Iterable[memoryview], told: Progress) -> str:
        """Its SHA-256, of its bytes in `pieces`; a tensor's as in `registry.tensors.tensor_digests`."""
        digest = sha256() if self.tensor is None else begun(self.dtype, self.shape)
        for piece in pieces:
            digest.update(piece)
            told(len(piece))
        return digest.hexdigest()


Pieces = Callable[[HashedPart], Iterable[memoryview]]
"""The bytes of a part, piece by piece."""
Job = Callable[[Progress], dict[HashedPart, str]]
"""What is to do for a checkpoint. Returns the digests that it found."""


class SharedFiles:
    """Files of tensors, each of which has rows here and in other processes. They are written again and again."""

    def __init__(self, files: Mapping[str, Tensors], group: dist.ProcessGroup) -> None:
        """files: by their names, the tensors of each, in memory that is copied each time.  group: who shares them.

        Every process calls this, and then, for each checkpoint, `take` and `save`.
        """
        lying = {file: Lying(named) for file, named in files.items()}
        ends = list(accumulate((each.room for each in lying.values()), initial=0))
        memory, self._together = shared_memory.mapped(ends[-1], group)
        self._images = {
            file: Laid(each, memory[start : start + each.room])
            for (file, each), start in zip(lying.items(), ends, strict=False)
        }
        self._places, self._group = _planned(files, self._images, group), group
        parts = [part for file, each in lying.items() for part in _parts(file, each)]
        self._dealt = dealt(parts, dist.get_world_size(group))

    def take(self) -> None:
        """Copy the rows that are here as they are now, in the place of those before."""
        self._places.copy()

    def save(self, folder: Path | None, cores: Cores | None = None) -> dict[str, FileDigests]:
        """Write what all processes copied, to files none of which is there yet, and flush them to the disk.

        folder: process 0 says it.  cores: as in `tensor_files.save`. Returns when no process needs the copy any more:
        the digests of each file, by its name. Raises, in each process, what went wrong in the first that failed.
        """
        if not self._together:
            seen = self._put(folder)
            return self._hashed([partial(_flush, seen / name) for name in self._images], partial(_read, seen), cores)
        dist.barrier(self._group)  # all have copied
        jobs = [partial(_write, folder / name, image) for name, image in self._images.items()] if folder else []
        return self._hashed(jobs, self._in_memory, cores)

    def _put(self, folder: Path | None) -> Path:
        """Have each process write its rows into the files. Returns the folder that process 0 says."""
        said = _of_each(partial(self._begin, folder), self._group)[0]
        assert said is not None
        _of_each(partial(self._places.write_into, said), self._group)
        return said

    def _begin(self, folder: Path | None) -> Path | None:
        if folder is None:
            return None
        for name, image in self._images.items():
            with (folder / name).open("xb") as file:
                file.write(image.header)
                file.truncate(image.size)
        return folder

    def _in_memory(self, part: HashedPart) -> Iterator[memoryview]:
        return tensor_files.pieces(self._images[part.file].memory[part.start : part.start + part.size])

    def _hashed(self, jobs: Iterable[Job], pieces: Pieces, cores: Cores | None) -> dict[str, FileDigests]:
        """Do `jobs`, and hash meanwhile what was dealt to this process. The digests that all have found."""
        mine = self._dealt[dist.get_rank(self._group)]
        lists = [parts for parts in dealt(mine, os.cpu_count() or 1) if parts]
        jobs = [*jobs, *(partial(_hash, parts, pieces, cores) for parts in lists)]

        def work() -> list[str]:
            found: dict[HashedPart, str] = {}
            for more in for_each(lambda job, told: job(told), jobs, workers=len(jobs)):
                found |= more
            return [found[part] for part in mine]

        said = zip(self._dealt, _of_each(work, self._group), strict=True)
        found = {part: digest for parts, digests in said for part, digest in zip(parts, digests, strict=True)}
        return {name: _digests(name, found) for name in self._images}


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


class _Places(StorageWriter):
    """Where torch.distributed.checkpoint writes: into memory. It is told that all is written, but `copy` does so."""

    def __init__(self, images: Mapping[str, Laid]) -> None:
        """images: of the files, by their names."""
        self._images = images
        self._found: list[tuple[str, torch.Tensor, torch.Tensor]] = []

    def copy(self) -> None:
        """Copy all that was planned, as it is now."""
        for _, place, data in self._found:
            place.copy_(data)

    def write_into(self, folder: Path) -> None:
        """Write what was copied into the files in `folder`, where it belongs."""
        with ExitStack() as stack:
            files = {name: stack.enter_context((folder / name).open("r+b")) for name in self._images}
            for name, place, _ in self._found:
                if place.numel():
                    files[name].seek(self._images[name].offset(place))
                    files[name].write(tensor_files.data(place))

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Keep which of the tensors' memory belongs where."""
        for item in plan.items:
            assert item.tensor_data is not None
            data, chunk = planner.resolve_data(item), item.tensor_data.chunk
            assert isinstance(data, torch.Tensor)
            file, _, name = item.index.fqn.partition("/")
            place = self._images[file].tensors[name]
            for dimension, (first, count) in enumerate(zip(chunk.offsets, chunk.sizes, strict=True)):
                place = place.narrow(dimension, first, count)
            self._found.append((file, place, data))
        future: Future[list[WriteResult]] = Future()
        future.set_result([])
        return future

    def reset(self, checkpoint_id: Any = None) -> None:
        """Nothing has to be forgotten."""

    def set_up_storage_writer(self, is_coordinator: bool, *_: Any, **__: Any) -> None:
        """Nothing has to be made ready."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """This process copies all that it is asked to."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """So do all."""
        return plans

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """The headers say all; no file of metadata is written."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """None is asked for."""
        return checkpoint_id is None

    def storage_meta(self) -> StorageMeta | None:
        """Nothing is told."""
        return None


def _planned(files: Mapping[str, Tensors], images: Mapping[str, Laid], group: dist.ProcessGroup) -> _Places:
    """What torch.distributed.checkpoint has this process copy, and where to."""
    tensors = {f"{file}/{name}": tensor for file, named in files.items() for name, tensor in named.items()}
    planner = DefaultSavePlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    places = _Places(images)
    try:
        dcp.save(tensors, storage_writer=places, planner=planner, process_group=group)  # type: ignore[attr-defined]
    except CheckpointException as problem:
        raise problem.failures[min(problem.failures)][0] from problem
    return places


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


def _parts(file: str, lying: Lying) -> list[HashedPart]:
    """The file called `file`, and each of its tensors."""
    apart = [
        HashedPart(file, lying.starts[name], lying.nbytes(name), name, NAMES[dtype], shape)
        for name, (dtype, shape) in lying.like.items()
    ]
    return [HashedPart(file, 0, lying.size), *apart]


def _digests(file: str, found: Mapping[HashedPart, str]) -> FileDigests:
    mine = {part.tensor: digest for part, digest in found.items() if part.file == file}
    apart = {name: digest for name, digest in mine.items() if name is not None}
    return FileDigests(file=mine[None], tensors=joined(apart))


def _write(path: Path, image: Laid, told: Progress) -> dict[HashedPart, str]:
    tensor_files.write(path, image, told)
    return {}


def _flush(path: Path, _: Progress) -> dict[HashedPart, str]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return {}


def _hash(parts: Sequence[HashedPart], pieces: Pieces, cores: Cores | None, told: Progress) -> dict[HashedPart, str]:
    with cores or nullcontext():
        return {part: part.digest(pieces(part), told) for part in parts}


def _read(folder: Path, part: HashedPart) -> Iterator[memoryview]:
    """A part's bytes in the files in `folder`, as `tensor_files.pieces` has them."""
    piece, left = memoryview(bytearray(CACHED)), part.size
    with (folder / part.file).open("rb", buffering=0) as stream:
        stream.seek(part.start)
        while left:
            count = stream.readinto(piece[:left])
            if not count:
                raise InputError(f"{folder / part.file} ends early", mend="let all processes see one disk")
            yield piece[:count]
            left -= count
