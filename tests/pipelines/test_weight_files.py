"""pipelines.weight_files: one file of weights, or several with an index, of the same tensors."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from pipelines import tensor_files, weight_files
from pipelines.tensor_files import Image
from registry.digest import sha256_file
from registry.errors import InputError
from registry.records.kinds import ModelFolder
from registry.records.run import directory_digest
from registry.release.kinds.single import parts_amiss, shards_amiss
from registry.tensors import read_header, tensors_digest

NAME = "model.safetensors"
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
KINDS = st.sampled_from([torch.float32, torch.bfloat16])


@settings(deadline=None, max_examples=60)
@example({"aa": (torch.float32, ()), "a": (torch.float32, (0,))}, 1)
@example({"a": (torch.float32, ()), "aa": (torch.float32, (0,))}, 1)
@given(
    st.dictionaries(st.text("ab.-é", min_size=1), st.tuples(KINDS, SHAPES), min_size=1, max_size=8), st.integers(1, 300)
)
def test_together_they_are_the_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, told: dict[str, tuple[torch.dtype, tuple[int, ...]]], most: int
) -> None:
    root = tmp_path_factory.mktemp("weights")
    folder, source = root / "out", root / NAME
    folder.mkdir()
    tensors = {name: torch.randn(shape).to(dtype) for name, (dtype, shape) in told.items()}
    tensor_files.save({source: Image(tensors)})
    weight_files.export(source, folder, NAME, most)
    files = weight_files.found(folder, NAME)
    whole = sum(tensor.nbytes for tensor in tensors.values())
    assert (len(files) == 1) == (whole <= most or max(t.nbytes for t in tensors.values()) == whole)
    assert tensors_digest(*files) == tensors_digest(source)
    digests = {path.name: sha256_file(path) for path in files}
    if len(files) == 1:
        assert files == [folder / NAME] and digests[NAME] == sha256_file(source) == weight_files.digest(folder, NAME)
        assert len(list(folder.iterdir())) == 1
        return
    assert weight_files.digest(folder, NAME) == directory_digest(digests)
    index = json.loads((folder / f"{NAME}.index.json").read_bytes())
    assert index["metadata"] == {"total_size": whole}
    assert index["weight_map"] == {tensor.name: path.name for path in files for tensor in read_header(path)}
    for path in files:
        found = load_file(path)
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in found.items())
        sizes = [tensor.nbytes for tensor in found.values()]
        assert sum(sizes) <= most or sum(sizes) == max(sizes)
    model = ModelFolder.at(folder)
    assert not [*shards_amiss(model), *parts_amiss(model)]


def test_more_files_than_have_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor_files.save({tmp_path / NAME: Image({name: torch.ones(1) for name in "abc"})})
    monkeypatch.setattr(weight_files, "MAX_FILES", 2)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="4 bytes a file make 3 files"):
        weight_files.export(tmp_path / NAME, tmp_path / "out", NAME, 4)
