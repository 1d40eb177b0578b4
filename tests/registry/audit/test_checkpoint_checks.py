"""What a checkpoint must show before anything is replayed from it: each lie is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from registry.audit.checkpoint_checks import descend, plausible
from registry.digest import sha256_file
from registry.errors import Unavailable, VerificationError
from registry.records.checkpoint_chain import Checkpoint, FileDigests, Positions
from registry.records.training_folder import OPTIMIZER, WEIGHTS
from registry.tensors import tensors_digest
from tests.registry.audit.test_chain_checks import ROWS, moments, with_optimizer

Arrays = dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]


def checkpoint(folder: Path, step: int = 2) -> Checkpoint:
    """A plausible checkpoint of two tensors."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(step)
    weights: Arrays = {"a.weight": random.normal(size=(3, 4)).astype("f4"), "b.weight": np.ones(3, "f4")}
    state: Arrays = {}
    for name, tensor in weights.items():
        state |= {
            f"{name}.exp_avg": np.zeros_like(tensor) + (step > 0),
            f"{name}.exp_avg_sq": np.zeros_like(tensor) + (step > 0),
            f"{name}.step": np.array(step, "f4"),
        }
    save_file(weights, folder / WEIGHTS)
    save_file(state, folder / OPTIMIZER)
    return entry(folder, step)


def entry(folder: Path, step: int) -> Checkpoint:
    digests = {
        name: FileDigests(file=sha256_file(folder / name), tensors=tensors_digest(folder / name))
        for name in (WEIGHTS, OPTIMIZER)
    }
    return Checkpoint(
        step=step,
        weights=digests[WEIGHTS],
        optimizer=digests[OPTIMIZER],
        positions=Positions(start=0, end=step * ROWS),
        loss=1.0,
        previous="0" * 64,
    )


@pytest.mark.parametrize("step", [0, 2])
def test_a_plausible_checkpoint_passes(tmp_path: Path, step: int) -> None:
    assert f"optimizer at step {step}" in plausible(checkpoint(tmp_path / "c", step), tmp_path / "c")


def test_second_moments_sum_to_what_the_signed_gradients_give(tmp_path: Path) -> None:
    """AdamW by hand: two gradients whose length is clipped to 0.5, on two parameters."""
    folder, beta2 = tmp_path / "c", 0.9
    checkpoint(folder)
    total = moments(with_optimizer(tmp_path, clip_norm=0.5, beta2=beta2))[2]
    state = load_file(folder / OPTIMIZER)
    gradient = {name: np.ones(shape, "f4") * 0.5 / np.sqrt(15) for name, shape in (("a", (3, 4)), ("b", (3,)))}
    for name, one in gradient.items():
        state[f"{name}.weight.exp_avg_sq"] = ((1 - beta2) * (1 + beta2) * one * one).astype("f4")
    save_file(state, folder / OPTIMIZER)
    assert "moments as the gradients' lengths give them" in plausible(entry(folder, 2), folder, moments=total)
    state["a.weight.exp_avg_sq"] *= np.float32(1.1)
    save_file(state, folder / OPTIMIZER)
    with pytest.raises(VerificationError, match=r"the gradients of the signed metrics give 0\.0475"):
        plausible(entry(folder, 2), folder, moments=total)


def _set(name: str, value: float) -> Callable[[Arrays], Arrays]:
    def change(arrays: Arrays) -> Arrays:
        arrays[name].reshape(-1)[-1] = value
        return arrays

    return change


@pytest.mark.parametrize(
    ("file", "change", "step", "words"),
    [
        (WEIGHTS, _set("a.weight", np.nan), 2, "a.weight holds numbers that are not finite"),
        (WEIGHTS, _set("b.weight", np.inf), 2, "b.weight holds numbers that are not finite"),
        (OPTIMIZER, _set("b.weight.step", 3), 2, "b.weight.step says step 3, the checkpoint is of step 2"),
        (OPTIMIZER, _set("a.weight.exp_avg_sq", -1), 2, "a.weight.exp_avg_sq has a mean of squares of -1"),
        (OPTIMIZER, _set("a.weight.exp_avg", 0.5), 0, "a.weight.exp_avg is not zero before the first step"),
        (OPTIMIZER, lambda a: {k: v for k, v in a.items() if k != "b.weight.step"}, 2, "at b.weight.step"),
        (OPTIMIZER, lambda a: a | {"b.weight.exp_avg": np.zeros(4, "f4")}, 2, "has shape (4,), not (3,)"),
    ],
)
def test_an_implausible_checkpoint_is_named(
    tmp_path: Path, file: str, change: Callable[[Arrays], Arrays], step: int, words: str
) -> None:
    checkpoint(tmp_path / "c", step)
    arrays = {name: array.copy() for name, array in load_file(tmp_path / "c" / file).items()}
    save_file(change(arrays), tmp_path / "c" / file)
    with pytest.raises(VerificationError, match=re.escape(words)):
        plausible(entry(tmp_path / "c", step), tmp_path / "c")


def test_a_type_that_is_not_looked_into_is_unknown(tmp_path: Path) -> None:
    checkpoint(tmp_path / "c")
    weights = load_file(tmp_path / "c" / WEIGHTS)
    save_file({name: array.astype("i4") for name, array in weights.items()}, tmp_path / "c" / WEIGHTS)
    with pytest.raises(Unavailable, match="I32"):
        plausible(entry(tmp_path / "c", 2), tmp_path / "c")


def test_a_second_moment_falls_no_faster_than_forgetting_lets_it(tmp_path: Path) -> None:
    """AdamW by hand, in float32: what a step leaves is enough, and a little less is named; with its tensor."""
    beta2, steps = 0.95, 40
    before, after = checkpoint(tmp_path / "before", 2), checkpoint(tmp_path / "after", 2 + steps)
    random = np.random.default_rng(0)
    state = load_file(tmp_path / "before" / OPTIMIZER)
    moments_ = random.lognormal(-20, 20, (3, 4)).astype("f4")
    moments_[0, 0], moments_[0, 1] = 0, 1e-38
    state["a.weight.exp_avg_sq"] = moments_
    save_file(state, tmp_path / "before" / OPTIMIZER)
    folders = (tmp_path / "before", tmp_path / "after")
    later = load_file(folders[1] / OPTIMIZER)
    for _ in range(steps):
        moments_ = (moments_ * np.float32(beta2)).astype("f4")
    later["a.weight.exp_avg_sq"] = moments_
    save_file(later, folders[1] / OPTIMIZER)
    assert f"0.95^{steps}" in descend(before, after, folders, beta2)
    moments_[2, 3] *= np.float32(0.999)
    save_file(later, folders[1] / OPTIMIZER)
    with pytest.raises(VerificationError, match=f"a.weight.exp_avg_sq falls from .* in {steps} steps"):
        descend(before, after, folders, beta2)
