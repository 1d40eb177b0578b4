"""How to forge a release: checkpoints that are not those of the training, in a chain whose every link is made good."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from pipelines.checkpoints import State
from registry.audit.subject import Audited, RecordedTraining
from registry.digest import sha256_file
from registry.records.checkpoint_chain import Chain, FileDigests
from registry.records.training_folder import OPTIMIZER, STATE, WEIGHTS, step_name
from registry.tensors import tensors_digest

CHECKPOINTS = "build/train/checkpoints"
"""Where training leaves them, below a project's root."""


def replace(folder: Path, step: int, other: Path) -> None:
    """Put the checkpoint of another training in the place of one."""
    shutil.rmtree(folder / step_name(step))
    shutil.copytree(other / step_name(step), folder / step_name(step))


def swap(folder: Path, one: int, other: int) -> None:
    """Let two checkpoints change places."""
    (folder / step_name(one)).rename(folder / "aside")
    (folder / step_name(other)).rename(folder / step_name(one))
    (folder / "aside").rename(folder / step_name(other))


def alter(folder: Path, step: int) -> str:
    """Make one number of one first moment a little larger: finite, in shape, plausible. Returns the tensor's name."""
    path = folder / step_name(step) / OPTIMIZER
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    altered: str = next(name for name in sorted(arrays) if name.endswith("exp_avg"))
    arrays[altered].reshape(-1)[0] += np.float32(1e-4)
    save_file(arrays, path, metadata={"format": "pt"})
    return altered


def poison(train: Path, other: Path) -> None:
    """Put what another training made in the place of `train`, and say that it was made from what `train` was."""
    told = Chain.read(train / "checkpoints.json").up_to(0)
    shutil.rmtree(train)
    shutil.copytree(other, train)
    made = Chain.read(train / "checkpoints.json")
    (train / "checkpoints.json").write_bytes(told.model_copy(update={"entries": made.entries}).to_bytes())


def with_chain(audited: Audited, chain: Chain) -> Audited:
    """The release, with another chain."""
    return dataclasses.replace(audited, training=RecordedTraining(chain, audited.environment))


def relinked(chain: Chain, folder: Path) -> Chain:
    """The chain that a forger signs: every digest that of the files in `folder`, every link made good."""
    forged = chain.up_to(0)
    for entry in chain.entries:
        files = {
            name: FileDigests(file=sha256_file(path), tensors=tensors_digest(path))
            for name in (WEIGHTS, OPTIMIZER)
            for path in [folder / step_name(entry.step) / name]
        }
        forged = forged.extended(
            step=entry.step,
            weights=files[WEIGHTS],
            optimizer=files[OPTIMIZER],
            end=entry.positions.end,
            loss=entry.loss,
        )
    return forged


def make_good(train: Path) -> None:
    """Bring checkpoints.json, and what each checkpoint says of itself, into line with the files in `train`."""
    chain = relinked(Chain.read(train / "checkpoints.json"), train / "checkpoints")
    chain.verify()
    for entry in chain.entries:
        path = train / "checkpoints" / step_name(entry.step) / STATE
        path.write_bytes(State.read(path).model_copy(update={"entry": entry}).to_bytes())
    (train / "checkpoints.json").write_bytes(chain.to_bytes())
