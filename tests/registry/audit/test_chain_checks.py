"""What a chain and its checkpoints must show before anything is replayed: each lie is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from registry import canonical
from registry.audit import chain_checks
from registry.digest import sha256_file
from registry.records.checkpoint_chain import Chain, Checkpoint, FileDigests, Positions, ProfileName
from registry.records.training_folder import OPTIMIZER, WEIGHTS
from registry.report import Verdict
from registry.tensors import tensors_digest

STEPS, ROWS = (0, 1, 2, 4), 8


def chain() -> Chain:
    made = Chain(tokens="1" * 64, recipe="2" * 64, profile=ProfileName(name="portable", digest="3" * 64), entries=())
    for step in STEPS:
        made = made.extended(
            step=step,
            weights=FileDigests(file=f"{step:064x}", tensors=f"{step + 100:064x}"),
            optimizer=FileDigests(file=f"{step + 200:064x}", tensors=f"{step + 300:064x}"),
            end=step * ROWS,
            loss=step / 2 if step else None,
        )
    return made


def laid_out(root: Path, found: Chain) -> tuple[Path, Chain]:
    (root / "provenance").mkdir()
    train = {"steps": STEPS[-1], "micro_batches": 4, "micro_batch_rows": 2}
    (root / "provenance/params.yaml").write_text(json.dumps({"train": train}))
    lines = [{"step": step, "loss": step / 2, "gradientNorm": 1.0} for step in range(1, STEPS[-1] + 1)]
    (root / "provenance/metrics.jsonl").write_bytes(b"".join(canonical.dumps(line) + b"\n" for line in lines))
    return root, found


def failures(release: tuple[Path, Chain]) -> dict[str, str]:
    return {check.subject: check.reason for check in chain_checks.chain(*release) if check.verdict is Verdict.FAIL}


def test_an_honest_chain_passes(tmp_path: Path) -> None:
    checks = list(chain_checks.chain(*laid_out(tmp_path, chain())))
    assert [check.verdict for check in checks] == [Verdict.PASS] * 3


def test_rows_that_do_not_fit_the_steps_are_named(tmp_path: Path) -> None:
    found = chain()
    entry = found.entries[1].model_copy(update={"positions": Positions(start=0, end=9)})
    release = laid_out(tmp_path, found.model_copy(update={"entries": (found.entries[0], entry, *found.entries[2:])}))
    assert "step 1 ends at row 9" in failures(release)["positions"] and "links" in failures(release)


def test_a_chain_that_ends_early_is_seen(tmp_path: Path) -> None:
    assert "ends at step 2, training at step 4" in failures(laid_out(tmp_path, chain().up_to(3)))["positions"]


def test_a_swapped_pair_breaks_the_links(tmp_path: Path) -> None:
    found = chain()
    first, second, third, last = found.entries
    release = laid_out(tmp_path, found.model_copy(update={"entries": (first, third, second, last)}))
    assert "links" in failures(release)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "3 lines for 4 steps"),
        (lambda lines: [*lines, lines[-1]], "line 5 is not step 5"),
        (lambda lines: [lines[0].replace(b"0.5", b"0.6"), *lines[1:]], "loss 0.5 at step 1"),
        (lambda lines: [lines[0].replace(b'Norm":1,', b'Norm":-1,'), *lines[1:]], "line 1"),
        (lambda lines: [b"[]\n", *lines[1:]], "no object"),
        (lambda lines: [b'{"loss":NaN}\n', *lines[1:]], "NaN"),
    ],
)
def test_metrics_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    release = laid_out(tmp_path, chain())
    path = tmp_path / "provenance/metrics.jsonl"
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    assert words in failures(release)["metrics"]


def test_missing_metrics_are_unknown(tmp_path: Path) -> None:
    release = laid_out(tmp_path, chain())
    (tmp_path / "provenance/metrics.jsonl").unlink()
    assert {check.subject: check.verdict for check in chain_checks.chain(*release)}["metrics"] is Verdict.UNKNOWN


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
    (check,) = chain_checks.checkpoint(checkpoint(tmp_path / "c", step), tmp_path / "c")
    assert check.verdict is Verdict.PASS and f"optimizer at step {step}" in check.reason


def with_optimizer(root: Path, **train: float) -> Path:
    """The records of `chain`, whose gradients all have length 1, with what params.yaml says of the optimizer."""
    laid_out(root, chain())
    path = root / "provenance/params.yaml"
    path.write_text(json.dumps({"train": json.loads(path.read_text())["train"] | train}))
    return root


def test_second_moments_sum_to_what_the_signed_gradients_give(tmp_path: Path) -> None:
    """AdamW by hand: two gradients whose length is clipped to 0.5, on two parameters."""
    folder, beta2 = tmp_path / "c", 0.9
    checkpoint(folder)
    moments = chain_checks.second_moments(with_optimizer(tmp_path, clip_norm=0.5, beta2=beta2), chain())
    state = load_file(folder / OPTIMIZER)
    gradient = {name: np.ones(shape, "f4") * 0.5 / np.sqrt(15) for name, shape in (("a", (3, 4)), ("b", (3,)))}
    for name, one in gradient.items():
        state[f"{name}.weight.exp_avg_sq"] = ((1 - beta2) * (1 + beta2) * one * one).astype("f4")
    save_file(state, folder / OPTIMIZER)
    (check,) = chain_checks.checkpoint(entry(folder, 2), folder, moments)
    assert check.verdict is Verdict.PASS and "moments as the gradients' lengths give them" in check.reason
    state["a.weight.exp_avg_sq"] *= np.float32(1.1)
    save_file(state, folder / OPTIMIZER)
    (check,) = chain_checks.checkpoint(entry(folder, 2), folder, moments)
    assert check.verdict is Verdict.FAIL and "the gradients of the signed metrics give 0.0475" in check.reason


@pytest.mark.parametrize(
    "train", [{}, {"clip_norm": 1.0}, {"clip_norm": 1.0, "beta2": 1.5}, {"clip_norm": -1, "beta2": 0.9}]
)
def test_where_the_records_do_not_tell_moments_are_not_judged(tmp_path: Path, train: dict[str, float]) -> None:
    assert chain_checks.second_moments(with_optimizer(tmp_path, **train), chain()) == {}


@pytest.mark.parametrize("lines", [b"", b"[]\n", b'{"gradientNorm":"x"}\n', b"\xff\n"])
def test_hostile_metrics_tell_nothing_of_moments(tmp_path: Path, lines: bytes) -> None:
    root = with_optimizer(tmp_path, clip_norm=1.0, beta2=0.9)
    (root / "provenance/metrics.jsonl").write_bytes(lines)
    assert chain_checks.second_moments(root, chain()).keys() <= {0}


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
    (check,) = chain_checks.checkpoint(entry(tmp_path / "c", step), tmp_path / "c")
    assert check.verdict is Verdict.FAIL and words in check.reason


def test_a_type_that_is_not_looked_into_is_unknown(tmp_path: Path) -> None:
    checkpoint(tmp_path / "c")
    weights = load_file(tmp_path / "c" / WEIGHTS)
    save_file({name: array.astype("i4") for name, array in weights.items()}, tmp_path / "c" / WEIGHTS)
    (check,) = chain_checks.checkpoint(entry(tmp_path / "c", 2), tmp_path / "c")
    assert check.verdict is Verdict.UNKNOWN
