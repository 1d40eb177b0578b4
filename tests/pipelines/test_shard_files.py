"""pipelines.shard_files: files that processes share are those of one, and are hashed by all of them."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from pipelines import shard_files, shared_memory
from pipelines.cores import Cores
from pipelines.shard_files import HashedPart, SharedFiles
from registry.digest import sha256_file
from registry.errors import InputError
from registry.records.checkpoint_chain import FileDigests
from registry.tensors import tensors_digest


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(1, 9))
def test_parts_are_dealt_each_once_and_evenly(sizes: list[int], count: int) -> None:
    parts = [HashedPart("file", number, size) for number, size in enumerate(sizes)]
    lists = shard_files.dealt(parts, count)
    assert sorted((part for each in lists for part in each), key=lambda part: part.start) == parts
    totals = [sum(part.size for part in each) for each in lists]
    assert max(totals) - min(totals) <= max(sizes, default=0)


@pytest.fixture(scope="module")
def alone() -> Iterator[dist.ProcessGroup]:
    """A group of this process alone."""
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    assert dist.group.WORLD is not None
    yield dist.group.WORLD
    dist.destroy_process_group()


KINDS = {"w": (30, 7), "b": (4,), "none": (0, 3), "one": (1, 5), "a": ()}
"""Tensors by their shapes. Three processes hold 10, 10 and 10 rows of the first; 2, 2 and 0 of the next."""


def tensors(number: int) -> dict[str, torch.Tensor]:
    """What the checkpoint of that number has."""
    generator = torch.Generator().manual_seed(number)
    made = {name: torch.randn(shape, generator=generator) for name, shape in KINDS.items()}
    return {**made, "b": made["b"].bfloat16()}


def assert_is_theirs(path: Path, wanted: dict[str, torch.Tensor], found: FileDigests) -> None:
    theirs = path.with_suffix(".theirs")
    save_file(wanted, theirs, metadata={"format": "pt"})
    assert path.read_bytes() == theirs.read_bytes()
    assert found == FileDigests(file=sha256_file(path), tensors=tensors_digest(path))


def test_each_time_the_files_are_those_of_the_safetensors_library(alone: dist.ProcessGroup, tmp_path: Path) -> None:
    held = tensors(0)
    shared = SharedFiles({"one": held, "two": {}}, alone)
    for number in range(2):
        for name, tensor in tensors(number).items():
            held[name].copy_(tensor)
        shared.take()
        held["w"].zero_()  # the training goes on
        folder = tmp_path / str(number)
        folder.mkdir()
        found = shared.save(folder, Cores(0))
        assert_is_theirs(folder / "one", tensors(number), found["one"])
        assert_is_theirs(folder / "two", {}, found["two"])


WORKER = """
import sys
from pathlib import Path
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard
from pipelines import rows, shared_memory
from pipelines.shard_files import SharedFiles
from tests.pipelines.test_shard_files import assert_is_theirs, tensors

rank, world, root = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
dist.init_process_group("gloo", init_method=f"file://{root}/meeting", rank=rank, world_size=world)
mesh = DeviceMesh.from_group(dist.group.WORLD, "cpu")

def of_all(tensor):
    share = -(-len(tensor) // world)
    here = tensor[rank * share : (rank + 1) * share].clone()
    return DTensor.from_local(here, mesh, [Shard(0)], run_check=False, shape=tensor.shape, stride=tensor.stride())

for kind in ("together", "apart"):
    if kind == "apart" and rank == world - 1:
        shared_memory._opened = lambda *_: None  # it is on another machine
    held = {name: of_all(tensor) if tensor.ndim else tensor for name, tensor in tensors(0).items()}
    shared = SharedFiles({"one": held, "two": {"m": held["w"]}}, dist.group.WORLD)
    assert shared._together == (kind == "together")
    for number in range(2):
        for name, tensor in tensors(number).items():
            rows.own(held[name]).copy_(tensor[rows.held(held[name])] if tensor.ndim else tensor)
        shared.take()
        for tensor in held.values():
            rows.own(tensor).zero_()  # the training goes on
        folder = root / kind / str(number)
        found = shared.save(folder if rank == 0 else None)
        wanted = tensors(number)
        if rank == 0:
            assert_is_theirs(folder / "one", wanted, found["one"])
            assert_is_theirs(folder / "two", {"m": wanted["w"]}, found["two"])
    try:
        shared.save(folder if rank == 0 else None)
    except FileExistsError:
        print("told", kind)
dist.barrier()
dist.destroy_process_group()
"""


def test_files_of_processes_on_one_machine_and_on_several_are_those_of_the_library(tmp_path: Path) -> None:
    for kind in ("together", "apart"):
        for number in range(2):
            (tmp_path / kind / str(number)).mkdir(parents=True)
    command = [sys.executable, "-c", WORKER]
    workers = [
        subprocess.Popen(
            [*command, str(rank), "3", str(tmp_path)], env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(3)
    ]  # fmt: skip
    for worker in workers:
        said, problem = worker.communicate()
        assert (worker.returncode, said.split()) == (0, ["told", "together", "told", "apart"]), problem


def test_memory_is_taken_only_as_it_is_written(alone: dist.ProcessGroup) -> None:
    """On several machines each process has an image of the whole, of which it uses its rows."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory, same = shared_memory.mapped(1 << 40, alone)
    memory[1 << 39] = 1
    assert same and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 14


def test_other_memory_than_that_of_the_group_is_not_taken(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        assert shared_memory._opened(os.getpid(), file.fileno(), "file") is None
    assert shared_memory._opened(os.getpid(), 1 << 20, "file") is None


def test_what_goes_wrong_is_told(alone: dist.ProcessGroup, tmp_path: Path) -> None:
    shared = SharedFiles({"one": {"w": torch.ones(9)}}, alone)
    shared.take()
    (tmp_path / "one").write_bytes(b"older")
    with pytest.raises(FileExistsError):
        shared.save(tmp_path)
    assert (tmp_path / "one").read_bytes() == b"older"
    with pytest.raises(InputError, match="ends early"):
        list(shard_files._read(tmp_path, HashedPart("one", 2, 4)))
