"""python -m pipelines.train: the same bytes from any number of processes, and after any kill."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest

from registry import tensors
from registry.manifest import Manifest, compare
from registry.records.checkpoint_chain import Chain
from registry.records.environment import Environment
from tests.conftest import ALONE, Project

COMMAND = (sys.executable, "-m", "pipelines.train")
NOTHING: Mapping[str, str] = MappingProxyType({})


class Place:
    """A folder with tokens to train on, made by the shared project, and a build/train of its own."""

    def __init__(self, built: Project, root: Path) -> None:
        self.root, self.out = root, root / "build/train"
        for name in ("build/tokens", "build/tokenizer"):
            shutil.copytree(built.root / name, root / name)
        for name in ("params.yaml", "requirements.lock"):
            shutil.copyfile(built.root / name, root / name)
        self.environment = {**built.environment, "GLASSHOUSE_TRACKING": "off"}

    def start(
        self, variables: Mapping[str, str] = NOTHING, command: tuple[str, ...] = COMMAND
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=self.root, env={**self.environment, **variables}, stderr=subprocess.PIPE, text=True
        )

    def train(self, variables: Mapping[str, str] = NOTHING, command: tuple[str, ...] = COMMAND) -> Manifest:
        with self.start(variables, command) as process:
            said = process.communicate()[1]
        assert process.returncode == 0, said
        return Manifest.of_directory(self.out)

    def lines(self) -> int:
        path = self.out / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.is_file() else 0

    def set(self, **changed: object) -> None:
        path = self.root / "params.yaml"
        params = json.loads(path.read_bytes())
        params["train"] |= changed
        path.write_text(json.dumps(params), encoding="utf-8")


@pytest.fixture
def place(built: Project, tmp_path: Path) -> Place:
    return Place(built, tmp_path / "place")


@pytest.fixture(scope="module")
def undisturbed(built: Project) -> Manifest:
    return Manifest.of_directory(built.root / "build/train")


def children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(number) for number in done.stdout.split()]


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.is_file() and stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_the_number_of_processes_changes_no_byte(place: Place, undisturbed: Manifest) -> None:
    """Four, where the shared project was trained by one. Two: what is killed below, and what torchrun starts."""
    assert not compare(undisturbed, place.train({"GLASSHOUSE_PROCESSES": "4", "PYTHONHASHSEED": "4"}))


def test_torchrun_gives_the_same_bytes(place: Place, undisturbed: Manifest) -> None:
    """Two of its three processes train; the third waits for its turn."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3", "-m")
    found = place.train({"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}, (*torchrun, "pipelines.train"))
    assert not compare(undisturbed, found)


@pytest.mark.parametrize(
    ("kills", "sharding"),
    [(1, "none"), *(pytest.param(4, sharding, marks=pytest.mark.slow) for sharding in ("none", "fsdp"))],
)
def test_killed_at_random_it_ends_in_the_same_bytes(
    place: Place, undisturbed: Manifest, kills: int, sharding: str
) -> None:
    """The first time the supervisor, then any of its processes, too."""
    place.set(sharding=sharding)
    chance = random.Random(time.time_ns())
    (place.root / "a #1?").mkdir()
    for attempt in range(kills):
        process = place.start({"GLASSHOUSE_PROCESSES": "2", "TMPDIR": str(place.root / "a #1?")})
        wanted = chance.randrange(min(place.lines(), 9), 10)  # it may have been done before it was killed
        while process.poll() is None and place.lines() < max(wanted, 1):
            time.sleep(0.005)
        workers = children(process.pid)
        victim = chance.choice([process.pid, *workers]) if attempt else process.pid
        if process.poll() is None and alive(victim):
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        process.communicate()
        deadline = time.monotonic() + 60
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < deadline, f"workers outlive their supervisor: {workers}"
            time.sleep(0.05)
    assert not compare(undisturbed, place.train(ALONE))


def test_what_is_written_speaks_of_one_another(built: Project) -> None:
    out = built.root / "build/train"
    chain = Chain.read(out / "checkpoints.json")
    chain.verify()
    assert [entry.step for entry in chain.entries] == [0, 1, 2, 3, 6, 9, 10]
    assert chain.consumed == 10 * 8
    for entry in chain.entries:
        folder = out / f"checkpoints/step-{entry.step:06d}"
        assert tensors.tensors_digest(folder / "model.safetensors") == entry.weights.tensors
        assert tensors.tensors_digest(folder / "optimizer.safetensors") == entry.optimizer.tensors
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_bytes().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 11))
    assert [line["step"] for line in lines if "validationLoss" in line] == [4, 8, 10]
    assert lines[-1]["loss"] == chain.entries[-1].loss
    assert lines[-1]["loss"] < lines[0]["loss"]
    norms = [line["gradientNorm"] for line in lines]
    assert min(norms) < 1 < max(norms), "some steps are clipped to train.clip_norm and some are not"
    environment = Environment.read(out / "environment.json")
    assert environment.shape is not None and environment.shape.micro_batches == 4
    assert environment.profile.capability == "AVX2"
    assert environment.profile.blas_core == "Haswell"
    assert environment.profile.digest == chain.profile.digest


def test_other_settings_train_afresh_and_another_profile_gives_other_bits(place: Place, built: Project) -> None:
    """What was trained by other settings lies in the folder, and nothing of it is left."""
    shutil.copytree(built.root / "build/train", place.out)
    place.set(profile="native", steps=3)
    found = place.train(ALONE)
    native, portable = (Chain.read(root / "checkpoints.json") for root in (place.out, built.root / "build/train"))
    assert [entry.step for entry in native.entries] == [0, 1, 2, 3]
    assert native.profile.name == "native" and native.recipe != portable.recipe
    assert "checkpoints/step-000006/model.safetensors" not in found.by_path()
    assert native.entries[0].weights == portable.entries[0].weights, "first weights depend on the seed alone"
    assert native.entries[0].optimizer == portable.entries[0].optimizer
    assert native.entries[3].weights != portable.entries[3].weights


@pytest.mark.slow
def test_step_0_follows_from_the_seed_under_another_profile(place: Place, built: Project) -> None:
    """Under the same one, a replay makes it anew: tests/e2e/test_audit_command.py."""
    first = Chain.read(built.root / "build/train/checkpoints.json").entries[0]
    place.set(profile="native")
    command = (sys.executable, "-m", "pipelines.replay", "--initial", str(place.root / "native"))
    with place.start(command=command) as process:
        assert process.wait() == 0
    made = Chain.read(place.root / "native" / "checkpoints.json").entries[0]
    assert (made.weights, made.optimizer) == (first.weights, first.optimizer)


def test_a_number_of_processes_that_has_no_tree_is_refused(place: Place) -> None:
    for asked in ("3", "8", "none"):
        with place.start({"GLASSHOUSE_PROCESSES": asked}) as process:
            said = process.communicate()[1]
        assert process.returncode == 2
        assert "power of two from 1 to 4" in said
