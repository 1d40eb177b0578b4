"""Weights are in known formats; a pickle is refused under any name."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from registry.errors import Refused
from registry.release import weights

PICKLE = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07weights\x94."


def test_safetensors_are_weights_and_json_is_not(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(save({"a": np.ones(2, dtype=np.float32)}))
    (tmp_path / "config.json").write_text("{}")
    assert weights.check(tmp_path / "model.safetensors")
    assert not weights.check(tmp_path / "config.json")


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "MODEL.PTH", "model.safetensors", "config.json", "notes"]
)
def test_a_pickle_is_refused_under_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PICKLE)
    with pytest.raises(Refused, match=name):
        weights.check(tmp_path / name)


def test_what_torch_save_writes_is_refused_under_any_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "tokenizer.model", "w") as archive:
        archive.writestr("archive/data.pkl", PICKLE)
    with pytest.raises(Refused, match="archive"):
        weights.check(tmp_path / "tokenizer.model")


def test_a_safetensors_file_that_lies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(save({"a": np.ones(2, dtype=np.float32)})[:-1])
    with pytest.raises(Refused, match="is not safetensors"):
        weights.check(tmp_path / "model.safetensors")


def test_a_header_that_starts_like_a_pickle_is_none(tmp_path: Path) -> None:
    """Its length, 640 bytes, is written 80 02 00 ...: the first bytes of a pickle of protocol 2."""
    plain = save({"a": np.ones(2, dtype=np.float32)})
    length, data = int.from_bytes(plain[:8], "little"), plain[-8:]
    padded = (640).to_bytes(8, "little") + plain[8 : 8 + length].ljust(640) + data
    (tmp_path / "model.safetensors").write_bytes(padded)
    assert padded[:2] == b"\x80\x02" and weights.check(tmp_path / "model.safetensors")
