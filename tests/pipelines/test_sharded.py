"""What is shared among processes: the same bits as in one, in parts of any size, and never whole anywhere."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from pipelines import determinism, model, norm, sharded
from pipelines.adamw import VectorAdamW
from pipelines.params import Model, Train
from registry.errors import InputError
from registry.manifest import Manifest, compare
from tests.conftest import ALONE
from tests.pipelines import small_project
from tests.pipelines.test_train import Place, place, undisturbed

__all__ = ["place", "undisturbed"]  # fixtures

TRAIN = Train.model_validate(small_project.TRAIN)
SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=5)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(parts: list[torch.Tensor], gradients: list[torch.Tensor]) -> list[torch.Tensor]:
    """All parts, and their moments, after three steps."""
    named = {str(index): part.clone() for index, part in enumerate(parts)}
    optimizer = VectorAdamW(named, TRAIN)
    for step in range(3):
        optimizer.update({name: gradients[int(name)] * (step + 1) for name in named}, 0.01)
    state = optimizer.state()
    return [tensor for name, part in named.items() for tensor in (part, *state[name].values()) if tensor.ndim]


@settings(deadline=None, max_examples=25)
@given(SIZES, st.integers(1, 23))
def test_an_optimizer_of_parts_does_what_one_of_the_whole_does(sizes: list[int], width: int) -> None:
    whole, gradient = drawn(1, sum(sizes), width), drawn(2, sum(sizes), width)
    together = trained([whole], [gradient])
    apart = trained(list(torch.split(whole, sizes)), list(torch.split(gradient, sizes)))
    for kind, tensor in enumerate(together):
        assert torch.equal(torch.cat(apart[kind::3]), tensor)


@settings(deadline=None, max_examples=25)
@given(SIZES, st.integers(1, 23))
def test_rows_have_the_same_sums_wherever_they_are(sizes: list[int], width: int) -> None:
    whole = drawn(3, sum(sizes), width)
    parts = [norm.row_sums(part) for part in torch.split(whole, sizes)]
    sums = norm.row_sums(whole)
    assert torch.equal(torch.cat(parts), sums)
    if len(whole):
        assert norm.length(sums) == pytest.approx(float(whole.double().norm()), rel=1e-12)


def test_the_halves_are_added_in_the_order_that_is_written_down() -> None:
    """Of numbers whose sum depends on the order: ((a + d) + (c + f)) + (b + e)."""
    a, b, c, d, e, f = (float(number) for number in drawn(4, 6).double())
    numbers = torch.tensor([[a, b, c, d, e, f]], dtype=torch.float64).sqrt().nan_to_num(0.5)
    squares = [float(number) for number in (numbers * numbers)[0]]
    wanted = ((squares[0] + squares[3]) + (squares[2] + squares[5])) + (squares[1] + squares[4])
    assert float(norm.row_sums(numbers)[0]) == wanted


WORKER = """
import gc, json, os, sys
from pipelines import determinism, params, train
settings = params.load()
profile = determinism.named(settings.train.profile)
determinism.apply(profile)
import torch
from pipelines import sharded

most, rows = 0, 0
inner = sharded.Halving.__call__
def counted(self, output_tensor, input_tensor, *rest, **named):
    global most, rows
    most, rows = max(most, input_tensor.numel()), max(rows, output_tensor.numel())
    return inner(self, output_tensor, input_tensor, *rest, **named)
sharded.Halving.__call__ = counted
begun = sharded.ShardedTraining.__init__
def remembered(self, *rest):
    begun(self, *rest)
    sharded.made = self
sharded.ShardedTraining.__init__ = remembered
train.work(settings, profile)
made = sharded.made
kept = [tensor for kinds in made.optimizer.state().values() for tensor in kinds.values() if tensor.ndim]
told = {
    "parameters": sum(parameter.numel() for parameter in made.parameters.values()),
    "own": sum(tensor.numel() for tensor in made.own.values()),
    "moments": sum(tensor.numel() for tensor in kept),
    "gradientsAtOnce": most,
}
open(f"told-{os.environ['RANK']}.json", "w").write(json.dumps(told))
"""


def train_in(place: Place, world: int) -> list[dict[str, int]]:
    """Train by `world` processes that share all; what each of them held."""
    variables = {**os.environ, **place.environment, "WORLD_SIZE": str(world), "GLOO_SOCKET_IFNAME": "lo"}
    variables["GLASSHOUSE_RENDEZVOUS"] = str(place.root / f"meeting-{world}")
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER], cwd=place.root, env={**variables, "RANK": str(rank)},
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip
    # Each one ends when its standard input closes, so all are waited for before that.
    said = [worker.stderr.read() for worker in workers if worker.stderr is not None]
    for worker, words in zip(workers, said, strict=True):
        with worker:
            assert worker.wait() == 0, words
    return [json.loads((place.root / f"told-{rank}.json").read_bytes()) for rank in range(world)]


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_that_share_all_give_the_bytes_of_one(place: Place, undisturbed: Manifest, world: int) -> None:
    place.set(sharding="fsdp", activations="recomputed")
    told = train_in(place, world)
    assert not compare(undisturbed, Manifest.of_directory(place.out))
    for found in told:
        assert found["gradientsAtOnce"] < 0.7 * found["parameters"], "of one layer, or of what lies beside the layers"
        assert found["moments"] == 2 * found["own"]
    assert sum(found["own"] for found in told) == told[0]["parameters"]


@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_processes_that_share(place: Place, undisturbed: Manifest) -> None:
    """One began it, two that share go on, one replays a segment of theirs."""
    place.set(sharding="fsdp")
    train_in(place, 2)
    for step in (9, 10):
        for path in (place.out / f"checkpoints/step-{step:06d}").iterdir():
            path.unlink()
    train_in(place, 4)
    assert not compare(undisturbed, Manifest.of_directory(place.out))
    command = (
        sys.executable, "-m", "pipelines.replay", "--chain", "build/train/checkpoints.json",
        "--segment", "3", "6", "build/train/checkpoints/step-000003", "again",
    )  # fmt: skip
    for processes in ("1", "2"):
        with place.start({"GLASSHOUSE_PROCESSES": processes}, command) as process:
            said = process.communicate()[1]
        assert process.returncode == 0, said
        made = place.root / "again"
        whole = (place.out / "checkpoints/step-000006/model.safetensors").read_bytes()
        assert (made / "checkpoints/step-000006/model.safetensors").read_bytes() == whole
        subprocess.run(["rm", "-r", str(made)], check=True)


@pytest.mark.slow
def test_rounded_weights_have_masters_and_give_the_same_bytes_however_they_are_trained(place: Place) -> None:
    place.set(profile="native", weights="bfloat16", steps=4)
    alone = place.train(ALONE)
    for step in (3, 4):
        for path in (place.out / f"checkpoints/step-{step:06d}").iterdir():
            path.unlink()
    assert not compare(alone, place.train({"GLASSHOUSE_PROCESSES": "2"})), "it went on from float32 masters"
    place.set(sharding="fsdp", activations="recomputed")
    shutil.rmtree(place.out)
    train_in(place, 2)
    assert not compare(alone, Manifest.of_directory(place.out))
    place.set(weights="float32", steps=4, sharding="none")
    shutil.rmtree(place.out)
    assert "checkpoints/step-000004/model.safetensors" in compare(alone, place.train(ALONE)).altered


def gradients(made: PreTrainedModel) -> tuple[list[torch.Tensor], int]:
    """All gradients, and how many bytes were kept for the way back."""
    kept = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    made.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model.loss_sum(made, torch.arange(4 * 17).view(4, 17))
    loss.backward()  # type: ignore[no-untyped-call]
    return [found for each in made.parameters() if (found := each.grad) is not None], kept


def test_what_is_computed_anew_is_not_kept_and_the_same() -> None:
    chosen = Model.model_validate({"architecture": "llama", "context": 16, "config": small_project.LLAMA})
    made = model.blank(model.configuration(chosen, vocabulary=300, end_of_text=0), determinism.NATIVE)
    model.initialise(made, 1)
    before, much = gradients(made)
    model.recompute(made)
    after, little = gradients(made)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True)) and len(before) > 10
    assert little < 0.8 * much


def test_a_model_whose_file_is_laid_out_otherwise_is_refused() -> None:
    config = {**small_project.LLAMA, "num_local_experts": 2, "num_experts_per_tok": 1}
    chosen = Model.model_validate({"architecture": "mixtral", "context": 16, "config": config})
    made = model.blank(model.configuration(chosen, vocabulary=300, end_of_text=0), determinism.NATIVE)
    with pytest.raises(InputError, match="fsdp does not know how a file of this mixtral is laid out"):
        sharded.shard(made, None)  # type: ignore[arg-type]
