"""Kinds of model: what tells each, what its door refuses, what the card is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.errors import InputError, Refused
from registry.records import kinds
from registry.records.kinds import KINDS, ModelFolder
from registry.release import weights
from registry.release.kinds import doors
from registry.release.kinds.label import KindLabel
from tests.registry.release import model_folders
from tests.registry.release.model_folders import FOLDERS

LABELS = {
    "language-model": KindLabel("transformers", "text-generation"),
    "transformers": KindLabel("transformers", "image-classification"),
    "sentence-transformers": KindLabel("sentence-transformers", "sentence-similarity"),
    "diffusers": KindLabel("diffusers", "text-to-image"),
    "peft": KindLabel("peft", "text-generation", ("org/base",), "adapter"),
    "gguf": KindLabel("gguf"),
    "onnx": KindLabel("onnx"),
    "jax": KindLabel("jax"),
    "pytorch": KindLabel("pytorch"),
    "safetensors": KindLabel(),
    "other": KindLabel(),
}


def test_each_kind_has_a_door_and_a_folder_here() -> None:
    assert doors.DOORS.keys() == {kind.name for kind in KINDS} == FOLDERS.keys() | {"sklearn"}
    assert LABELS.keys() == FOLDERS.keys()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_told_by_what_lies_in_it(tmp_path: Path, name: str) -> None:
    model = ModelFolder.at(model_folders.write(tmp_path, name))
    kind = kinds.recognised(model)
    assert kind.name == name and kind == kinds.named(name)
    weights.check_all(model)
    doors.check(model, kind)
    assert doors.label(model, kind) == LABELS[name]
    unlike = {path for path in model.paths if path.endswith((".json", ".md"))}
    assert model.weights == set(model.paths) - unlike


def _without(path: str) -> Callable[[dict[str, bytes]], object]:
    return lambda files: files.pop(path)


def _json(path: str, **values: object) -> Callable[[dict[str, bytes]], object]:
    return lambda files: files.update({path: json.dumps({**json.loads(files[path]), **values}).encode()})


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("language-model", _without("model-00002-of-00003.safetensors"), "names model-00002-of-00003.safetensors"),
        ("language-model", _json("model.safetensors.index.json", weight_map=3), "has no weight_map"),
        ("sentence-transformers", _without("1_Pooling/config.json"), "names the folder 1_Pooling"),
        ("diffusers", _without("vae/diffusion_pytorch_model.safetensors"), "names the part vae"),
        ("peft", _json("adapter_config.json", base_model_name_or_path=None), "names no base"),
    ],
)
def test_what_a_loader_would_not_load_whole_is_refused(
    tmp_path: Path, name: str, change: Callable[[dict[str, bytes]], object], words: str
) -> None:
    model = ModelFolder.at(model_folders.write(tmp_path, name, change))
    with pytest.raises(Refused, match=words):
        doors.check(model, kinds.recognised(model))


def test_the_part_of_a_gguf_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "m-00001-of-00002.gguf").write_bytes(model_folders.gguf())
    model = ModelFolder.at(tmp_path)
    with pytest.raises(Refused, match=r"m-00002-of-00002\.gguf is not there"):
        doors.check(model, kinds.recognised(model))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "absent.bin"])
def test_an_onnx_model_takes_nothing_from_elsewhere(tmp_path: Path, location: str) -> None:
    (tmp_path / "model.onnx").write_bytes(model_folders.onnx(location))
    with pytest.raises(Refused, match="takes tensors from"):
        weights.check_all(ModelFolder.at(tmp_path))


def test_what_somebody_says_counts_and_is_held_to_it(tmp_path: Path) -> None:
    model = ModelFolder.at(model_folders.write(tmp_path, "pytorch"))
    assert doors.kind_of(model, "jax").name == "jax"
    with pytest.raises(Refused, match=r"holds no weights as \.onnx"):
        doors.check(model, doors.kind_of(model, "onnx"))
    with pytest.raises(InputError, match="no kind 'banana'"):
        doors.kind_of(model, "banana")


def test_a_base_that_is_a_folder_of_somebody_s_disk_is_no_model_of_the_hub(tmp_path: Path) -> None:
    change = _json("adapter_config.json", base_model_name_or_path="/home/me/base")
    model = ModelFolder.at(model_folders.write(tmp_path, "peft", change))
    assert doors.label(model, kinds.named("peft")).base_model == ()


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Refused, match="holds no weights"):
        weights.check_all(ModelFolder.at(tmp_path))
