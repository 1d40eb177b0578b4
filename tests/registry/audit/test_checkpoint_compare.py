"""What a replay made against what the chain names: the same files, the same tensors, or neither; never an exception."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from registry.audit import checkpoint_compare
from registry.digest import sha256_file
from registry.errors import Unavailable
from registry.records.checkpoint_chain import Chain, Checkpoint, FileDigests, ProfileName
from registry.records.training_folder import OPTIMIZER, WEIGHTS, TrainingFolder, step_name
from registry.tensors import tensors_digest


def made(out: Path, *, loss: float = 2.5, mark: str = "") -> Checkpoint:
    """A replay's folder that ends in step 1, and the entry of its chain. mark: in the files, beside the tensors."""
    folder = out / "checkpoints" / step_name(1)
    folder.mkdir(parents=True)
    for name, value in ((WEIGHTS, 1.0), (OPTIMIZER, 2.0)):
        save_file({"a": np.full(3, value, "f4"), "b": np.zeros(2, "f4")}, folder / name, metadata={"mark": mark})
    chain = Chain(tokens="1" * 64, recipe="2" * 64, profile=ProfileName(name="portable", digest="3" * 64), entries=())
    digests = [
        FileDigests(file=sha256_file(folder / name), tensors=tensors_digest(folder / name))
        for name in (WEIGHTS, OPTIMIZER)
    ]
    chain = chain.extended(step=1, weights=digests[0], optimizer=digests[1], end=8, loss=loss)
    (out / "checkpoints.json").write_bytes(chain.to_bytes())
    return chain.entries[0]


def same(entry: Checkpoint, out: Path) -> tuple[str, str] | None:
    return checkpoint_compare.same(entry, TrainingFolder(out))


def test_the_same_files_the_same_tensors_or_neither(tmp_path: Path) -> None:
    entry = made(tmp_path / "signed")
    made(tmp_path / "again")
    made(tmp_path / "laid-out", mark="otherwise")
    made(tmp_path / "loss", loss=2.6)
    assert (same(entry, tmp_path / "again") or "")[0] == "BITWISE"
    assert (same(entry, tmp_path / "laid-out") or "")[0] == "TENSORS"
    assert same(entry, tmp_path / "loss") is None, "the same tensors, and another loss beside them"
    path = tmp_path / "again/checkpoints" / step_name(1) / OPTIMIZER
    save_file({"a": np.full(3, 2.1, "f4"), "b": np.zeros(2, "f4")}, path)
    assert same(entry, tmp_path / "again") is None, "it says what it likes: its files are hashed here"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff"])
def test_where_nothing_was_made_nobody_is_accused(tmp_path: Path, data: bytes) -> None:
    entry = made(tmp_path / "out")
    (tmp_path / "out/checkpoints.json").write_bytes(data)
    with pytest.raises(Unavailable, match="made no checkpoint"):
        same(entry, tmp_path / "out")
    with pytest.raises(Unavailable, match="made no checkpoint"):
        same(entry, tmp_path / "nowhere")


def test_a_file_that_is_missing_or_no_tensors_is_unavailable(tmp_path: Path) -> None:
    entry = made(tmp_path / "out")
    path = tmp_path / "out/checkpoints" / step_name(1) / WEIGHTS
    path.write_bytes(b"\x80\x04pickle")
    with pytest.raises(Unavailable, match="made no checkpoint"):
        same(entry, tmp_path / "out")
    path.unlink()
    with pytest.raises(Unavailable, match="made no checkpoint"):
        same(entry, tmp_path / "out")
    os.mkfifo(path)  # to read it would last for ever
    with pytest.raises(Unavailable, match=r"model\.safetensors is not a plain file"):
        same(entry, tmp_path / "out")
