"""registry.provenance.weights_index: an index leads a loader to all tensors beside it, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from registry.errors import GlasshouseError, Unavailable
from registry.provenance import weights_index
from registry.provenance.stage_lineage import Gap
from tests.synthetic_release import safetensors

ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
WHOLE = {"a": ONE, "b": TWO}


def checked(root: Path, folder: str, value: Any, **others: bytes) -> str:
    """What is said of the index `value`, beside two files of one tensor each, and `others`."""
    files = {ONE: safetensors({"a": b"1"}), TWO: safetensors({"b": b"2"}), INDEX: json.dumps(value).encode()}
    files |= {f"{name}.safetensors": data for name, data in others.items()}
    paths = {f"{folder}{name}": data for name, data in files.items()}
    for path, data in paths.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return weights_index.check(root, f"{folder}{INDEX}", paths)


@pytest.mark.parametrize("folder", ["", "unet/"])
@pytest.mark.parametrize("told", [WHOLE, {"a": f"./{ONE}", "b": TWO}])
def test_an_index_that_fits_is_counted(tmp_path: Path, folder: str, told: dict[str, str]) -> None:
    assert "2 tensors" in checked(tmp_path, folder, {"metadata": {"total_size": 2}, "weight_map": told})


@pytest.mark.parametrize("told", [
    {"a": ONE, "c": TWO}, {"a": TWO, "b": ONE}, {"a": ONE, "b": TWO, "c": TWO}, {"a": ONE, "b": ONE}, [ONE, TWO],
    {"a": {"file": ONE}}, None,
])  # fmt: skip
def test_one_that_says_something_else_than_the_files_does_not_hold(tmp_path: Path, told: Any) -> None:
    with pytest.raises(Gap):
        checked(tmp_path, "", {"weight_map": told})


def test_a_tensor_in_two_files_is_nobodys(tmp_path: Path) -> None:
    told = {**WHOLE, "other": "x.safetensors"}
    with pytest.raises(Gap, match="in two of the files"):
        checked(tmp_path, "", {"weight_map": told}, x=safetensors({"a": b"3", "other": b"4"}))


@pytest.mark.parametrize("told", [{}, {"a": ONE}, {**WHOLE, "c": "absent.safetensors"}, {**WHOLE, "c": "../x"}])
def test_which_files_a_loader_takes_cannot_be_told(tmp_path: Path, told: dict[str, str]) -> None:
    with pytest.raises(Unavailable):
        checked(tmp_path, "", {"weight_map": told})


def test_a_file_that_loaders_take_before_the_index_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"passes over model\.safetensors"):
        checked(tmp_path, "", {"weight_map": WHOLE}, model=safetensors({"a": b"3"}))


def test_what_is_not_json_speaks_against_it(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text("{")
    with pytest.raises(GlasshouseError):
        weights_index.check(tmp_path, INDEX, [INDEX])
