"""pipelines.shard_files: files that processes share are those of one, and are hashed by all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from pipelines import shard_files
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


def test_each_time_the_files_are_those_of_the_safetensors_library(alone: dist.ProcessGroup, tmp_path: Path) -> None:
    tensors = {
        "w": torch.randn(30, 7),
        "b": torch.randn(4).bfloat16(),
        "none": torch.ones(0, 3),
        "a": torch.tensor(2.0),
    }
    shared = SharedFiles({"one": tensors, "two": {}}, alone)
    for number in range(2):
        tensors["w"].add_(1)
        folder = tmp_path / str(number)
        folder.mkdir()
        found = shared.save(folder, Cores(0))
        for name, wanted in {"one": tensors, "two": {}}.items():
            save_file(wanted, tmp_path / "theirs", metadata={"format": "pt"})
            assert (folder / name).read_bytes() == (tmp_path / "theirs").read_bytes()
            assert found[name] == FileDigests(file=sha256_file(folder / name), tensors=tensors_digest(folder / name))


def test_what_goes_wrong_is_told(alone: dist.ProcessGroup, tmp_path: Path) -> None:
    shared = SharedFiles({"one": {"w": torch.ones(9)}}, alone)
    (tmp_path / "one").write_bytes(b"older")
    with pytest.raises(FileExistsError):
        shared.save(tmp_path)
    assert (tmp_path / "one").read_bytes() == b"older"
    with pytest.raises(InputError, match="ends early"):
        HashedPart("one", 2, 4).digest(tmp_path, lambda _: None)
