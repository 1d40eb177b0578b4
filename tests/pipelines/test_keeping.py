"""pipelines.keeping: a checkpoint is written while the training goes on, whole or not at all."""

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from pipelines import tensor_files
from pipelines.checkpoints import RunFolder, Write
from pipelines.cores import Cores
from pipelines.keeping import CheckpointKeeper
from pipelines.tensor_files import Image
from registry.errors import Unavailable
from registry.manifest import Manifest
from registry.records.checkpoint_chain import Chain, FileDigests
from registry.records.training_folder import OPTIMIZER, WEIGHTS
from tests.pipelines.test_checkpoints import RECIPE, go_on

PATIENCE = 30


class Trained:
    """Two numbers that training changes in place, and the writing of them, which waits until it may go on."""

    def __init__(self, may_go_on: threading.Event) -> None:
        self.weights, self.may_go_on, self.begun = torch.zeros(2), may_go_on, threading.Event()
        self.images = {WEIGHTS: Image({"w": self.weights}), OPTIMIZER: Image({"w.m": self.weights})}
        self.writing = False

    def snapshot(self, cores: Cores) -> Write:
        assert not self.writing, "the copy before is still being written"
        self.images[WEIGHTS].take({"w": self.weights})
        self.images[OPTIMIZER].take({"w.m": self.weights + 100})
        self.writing = True

        def write(folder: Path | None) -> Mapping[str, FileDigests]:
            assert folder is not None
            self.begun.set()
            assert self.may_go_on.wait(PATIENCE)
            found = tensor_files.save({folder / name: image for name, image in self.images.items()}, cores)
            self.writing = False
            return found

        return write


def trained(root: Path, may_go_on: threading.Event, meanwhile: Callable[[Trained], None]) -> Chain:
    """Checkpoints at steps 0 and 1; `meanwhile` is called while the first one is being written."""
    folder, made = RunFolder(root), Trained(may_go_on)
    with CheckpointKeeper(folder, folder.resume(RECIPE), first=True) as keeper:
        keeper.keep(made.snapshot, step=0, end=0, loss=None)
        assert made.begun.wait(PATIENCE)
        meanwhile(made)
        made.weights += 1
        keeper.look()
        folder.append_metrics({"step": 1, "loss": 1.0})
        keeper.keep(made.snapshot, step=1, end=8, loss=1.0)
    return Chain.read(folder.chain)


def test_what_is_written_is_the_state_of_then_and_the_next_one_waits(tmp_path: Path) -> None:
    def goes_on(made: Trained) -> None:
        assert not (tmp_path / "beside/checkpoints/step-000000").exists(), "it is being written"
        made.weights += 7
        made.may_go_on.set()

    def waits(made: Trained) -> None:
        made.weights += 7

    at_once = threading.Event()
    at_once.set()
    waited = trained(tmp_path / "waited", at_once, waits)
    assert trained(tmp_path / "beside", threading.Event(), goes_on) == waited
    assert [entry.step for entry in waited.entries] == [0, 1]
    assert Manifest.of_directory(tmp_path / "beside") == Manifest.of_directory(tmp_path / "waited")


def test_killed_while_one_is_written_the_folder_has_the_one_before(tmp_path: Path) -> None:
    """What a kill leaves is what lies there while the thread writes."""
    folder, killed, made = RunFolder(tmp_path / "train"), RunFolder(tmp_path / "killed"), Trained(threading.Event())
    chain = go_on(folder, folder.resume(RECIPE), 2)
    with CheckpointKeeper(folder, chain, first=True) as keeper:
        folder.append_metrics({"step": 3, "loss": 1.0})
        keeper.keep(made.snapshot, step=3, end=24, loss=1.0)
        assert made.begun.wait(PATIENCE)
        shutil.copytree(folder.root, killed.root)
        made.may_go_on.set()
    assert any(path.name.startswith(".step-000003") for path in killed.checkpoints.iterdir()), "it stands beside"
    assert killed.resume(RECIPE) == chain
    assert sorted(path.name for path in killed.checkpoints.iterdir()) == [f"step-00000{step}" for step in (0, 1, 2)]
    assert folder.resume(RECIPE).entries[-1].step == 3


def full(_: Path | None) -> Mapping[str, FileDigests]:
    raise OSError(28, "No space left on device")


def test_what_the_disk_does_not_take_ends_the_training_at_its_next_step(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "train")
    chain = go_on(folder, folder.resume(RECIPE), 1)

    def train() -> None:
        with CheckpointKeeper(folder, chain, first=True) as keeper:
            folder.append_metrics({"step": 2, "loss": 1.0})
            keeper.keep(lambda _: full, step=2, end=16, loss=1.0)
            while True:
                keeper.look()

    with pytest.raises(Unavailable, match=r"step 2 was not written .* No space left"):
        train()
    assert folder.resume(RECIPE) == chain
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["step-000000", "step-000001"]


def test_the_last_one_ends_the_training_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "train")
    with pytest.raises(Unavailable), CheckpointKeeper(folder, folder.resume(RECIPE), first=True) as keeper:
        keeper.keep(lambda _: full, step=0, end=0, loss=None)


def test_what_went_wrong_first_is_told_and_the_checkpoint_is_whole(tmp_path: Path) -> None:
    folder, made = RunFolder(tmp_path / "train"), Trained(threading.Event())
    made.may_go_on.set()
    with pytest.raises(ZeroDivisionError), CheckpointKeeper(folder, folder.resume(RECIPE), first=True) as keeper:
        keeper.keep(made.snapshot, step=0, end=0, loss=None)
        print(1 / 0)
    assert [entry.step for entry in folder.resume(RECIPE).entries] == [0]
