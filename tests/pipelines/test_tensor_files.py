"""pipelines.tensor_files: the bytes of the safetensors library, and digests of what is in the file."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pipelines import tensor_files
from pipelines.tensor_files import PAGE, Image
from registry.digest import sha256_file
from registry.records.checkpoint_chain import FileDigests
from registry.tensors import read_header, tensors_digest

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
KINDS = st.sampled_from([torch.float32, torch.bfloat16])


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, st.tuples(KINDS, SHAPES), max_size=6))
def test_the_file_is_that_of_the_safetensors_library_and_the_digests_are_the_file_s(
    tmp_path_factory: pytest.TempPathFactory, told: dict[str, tuple[torch.dtype, tuple[int, ...]]]
) -> None:
    folder = tmp_path_factory.mktemp("tensors")
    ours, theirs, path = folder / "ours", folder / "theirs", folder / "other"
    tensors = {name: torch.randn(shape).to(dtype) for name, (dtype, shape) in told.items() if name != "__metadata__"}
    save_file(tensors, theirs, metadata={"format": "pt"})
    images = {ours: Image({name: torch.zeros_like(tensor) for name, tensor in tensors.items()})}
    images[path] = Image({"turned": torch.randn(3, 2).T})
    images[ours].take(tensors)
    found = tensor_files.save(images)
    assert ours.read_bytes() == theirs.read_bytes()
    for each in images:
        assert found[each.name] == FileDigests(file=sha256_file(each), tensors=tensors_digest(each))
    _, starts = tensor_files.layout({name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()})
    assert starts == {tensor.name: tensor.start for tensor in read_header(ours)}


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"older")
    with pytest.raises(FileExistsError):
        tensor_files.save({tmp_path / name: Image({"w": torch.ones(3)}) for name in "ab"})
    assert (tmp_path / "b").read_bytes() == b"older"


@pytest.mark.parametrize("moved", [0, 1])
def test_a_file_of_many_pages_is_written_from_wherever_they_lie_in_memory(tmp_path: Path, moved: int) -> None:
    """A disk that is written to past the cache refuses memory that does not begin with a page."""
    image = Image({"w": torch.arange(50.0 * PAGE)})
    memory = memoryview(bytearray(moved + len(image.memory)))[moved:]
    memory[:] = image.memory
    image.memory = memory
    found = tensor_files.save({tmp_path / "w": image})
    assert (tmp_path / "w").read_bytes() == memory[: image.size]
    assert found["w"] == FileDigests(file=sha256_file(tmp_path / "w"), tensors=tensors_digest(tmp_path / "w"))
