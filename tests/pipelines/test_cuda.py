"""The cuda profile on a GPU. Where there is none, these tests say so and are skipped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from tests.conftest import Project

WHY = "finds no device" if torch.version.cuda else "was built without CUDA (requirements-cuda.lock has a build with it)"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason=f"no GPU: torch {torch.__version__} {WHY}")


def train(built: Project, root: Path, *command: str, **variables: str) -> Chain:
    """Train the small project's tokens under the cuda profile, in a folder of its own."""
    if not root.exists():
        for name in ("build/tokens", "build/tokenizer"):
            shutil.copytree(built.root / name, root / name)
        shutil.copyfile(built.root / "requirements.lock", root / "requirements.lock")
        params = json.loads((built.root / "params.yaml").read_bytes())
        params["train"]["profile"] = "cuda"
        (root / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(built.root), "GLASSHOUSE_TRACKING": "off", **variables}
    done = subprocess.run(
        [sys.executable, "-m", *(command or ("pipelines.train",))], cwd=root, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Chain.read(root / "build/train/checkpoints.json")


def test_a_training_repeats_bit_for_bit(built: Project, tmp_path: Path) -> None:
    first, second = (train(built, tmp_path / name) for name in ("first", "second"))
    assert first == second and first.profile.name == "cuda"
    environment = Environment.read(tmp_path / "first/build/train/environment.json")
    assert environment.machine.accelerator == torch.cuda.get_device_name()


def settings(root: Path, **changed: object) -> None:
    """Change `train` of params.yaml, and forget what was trained."""
    params = json.loads((root / "params.yaml").read_bytes())
    params["train"] |= changed
    (root / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
    shutil.rmtree(root / "build/train", ignore_errors=True)


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_what_is_computed_anew_changes_no_bit(built: Project, tmp_path: Path, weights: str) -> None:
    root = tmp_path / "place"
    train(built, root)
    found = []
    for activations in ("kept", "recomputed"):
        settings(root, weights=weights, activations=activations)
        found.append(train(built, root))
    assert found[0] == found[1]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason=f"{torch.cuda.device_count()} GPUs, and two are needed")
@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_gpus_give_the_bits_of_one(built: Project, tmp_path: Path, sharding: str) -> None:
    root = tmp_path / "place"
    alone = train(built, root)
    settings(root, sharding=sharding, launch={"processes": 2})
    assert train(built, root) == alone


def test_it_starts_where_the_cpu_starts_and_stays_near(built: Project, tmp_path: Path) -> None:
    cuda = train(built, tmp_path / "place")
    cpu = Chain.read(built.root / "build/train/checkpoints.json")
    assert cuda.entries[0].weights == cpu.entries[0].weights, "first weights depend on the seed alone"
    assert cuda.entries[-1].weights != cpu.entries[-1].weights
    assert cuda.entries[-1].loss == pytest.approx(cpu.entries[-1].loss, rel=1e-3)


def test_a_resumed_and_a_replayed_training_end_alike(built: Project, tmp_path: Path) -> None:
    whole = train(built, tmp_path / "place")
    out = tmp_path / "place/build/train"
    shutil.rmtree(out / "checkpoints/step-000010")
    assert train(built, tmp_path / "place") == whole
    again = ("--segment", "3", "6", str(out / "checkpoints/step-000003"), str(tmp_path / "replayed"))
    train(built, tmp_path / "place", "pipelines.replay", "--chain", str(out / "checkpoints.json"), *again)
    assert Chain.read(tmp_path / "replayed/checkpoints.json").entries[-1] == whole.entries[4]
