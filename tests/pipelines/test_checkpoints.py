"""pipelines.checkpoints: a folder that was killed, cut or tampered with goes back to its last whole checkpoint."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import tensor_files
from pipelines.checkpoints import RunFolder, Write
from pipelines.tensor_files import Image
from registry.errors import DigestMismatch
from registry.manifest import Manifest
from registry.records.checkpoint_chain import Chain, FileDigests, ProfileName
from registry.records.training_folder import OPTIMIZER, WEIGHTS

STEPS = (0, 1, 2, 4, 6)
RECIPE = Chain(tokens="a" * 64, recipe="b" * 64, profile=ProfileName(name="portable", digest="c" * 64), entries=())


def tensors(step: int) -> dict[str, dict[str, torch.Tensor]]:
    weights = torch.arange(4.0) + step
    return {WEIGHTS: {"w": weights}, OPTIMIZER: {"w.exp_avg": weights * 2, "w.step": torch.tensor(float(step))}}


def writing(step: int) -> Write:
    def write(folder: Path | None) -> Mapping[str, FileDigests]:
        assert folder is not None
        return tensor_files.save({folder / name: Image(named) for name, named in tensors(step).items()})

    return write


def go_on(folder: RunFolder, chain: Chain, until: int = STEPS[-1]) -> Chain:
    """Train, as far as this module is concerned: a line a step, and a checkpoint at STEPS."""
    done = chain.entries[-1].step if chain.entries else -1
    for step in range(done + 1, until + 1):
        if step:
            folder.append_metrics({"step": step, "loss": 1 / step})
        if step in STEPS:
            chain = folder.save(chain, writing(step), step=step, end=step * 8, loss=1 / step if step else None)
    return chain


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed training."""
    root = tmp_path_factory.mktemp("whole") / "train"
    folder = RunFolder(root)
    go_on(folder, folder.resume(RECIPE))
    return root


def copy_of(whole: Path, root: Path) -> RunFolder:
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(whole, root)
    return RunFolder(root)


def test_an_undisturbed_training_is_left_as_it_is(whole: Path, tmp_path: Path) -> None:
    folder = copy_of(whole, tmp_path / "train")
    chain = folder.resume(RECIPE)
    chain.verify()
    assert [entry.step for entry in chain.entries] == list(STEPS)
    assert Manifest.of_directory(folder.root) == Manifest.of_directory(whole)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_cut_or_damaged_the_end_is_the_same(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = copy_of(whole, tmp_path / "train")
    for path in data.draw(
        st.lists(st.sampled_from(sorted(p for p in folder.root.rglob("*") if p.is_file())), max_size=3)
    ):
        content = path.read_bytes() if path.exists() else b""
        match data.draw(st.sampled_from(["missing", "cut", "flipped", "empty"])):
            case "missing":
                path.unlink(missing_ok=True)
            case "cut":
                path.write_bytes(content[: data.draw(st.integers(0, max(0, len(content) - 1)))])
            case "flipped" if content:
                at = data.draw(st.integers(0, len(content) - 1))
                path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            case _:
                path.write_bytes(b"")
    go_on(folder, folder.resume(RECIPE))
    assert Manifest.of_directory(folder.root) == Manifest.of_directory(whole)


@pytest.mark.parametrize("until", range(7))
def test_steps_after_the_last_checkpoint_are_done_again(whole: Path, tmp_path: Path, until: int) -> None:
    folder = RunFolder(tmp_path / "train")
    go_on(folder, folder.resume(RECIPE), until)
    (folder.root / "checkpoints/.step-000004.half").mkdir()
    with folder.metrics.open("ab") as stream:
        stream.write(b'{"step": 7, "lo')
    chain = folder.resume(RECIPE)
    assert chain.entries[-1].step == max(step for step in STEPS if step <= until)
    go_on(folder, chain)
    assert Manifest.of_directory(folder.root) == Manifest.of_directory(whole)


def test_another_recipe_starts_afresh(whole: Path, tmp_path: Path) -> None:
    folder = copy_of(whole, tmp_path / "train")
    other = RECIPE.model_copy(update={"recipe": "d" * 64})
    assert folder.resume(other) == other
    assert {path.name for path in folder.root.rglob("*") if path.is_file()} == {"checkpoints.json", "metrics.jsonl"}


def test_a_checkpoint_is_verified_before_it_is_loaded(whole: Path, tmp_path: Path) -> None:
    folder = copy_of(whole, tmp_path / "train")
    entry = Chain.read(folder.chain).entries[2]
    folder.verify(entry)
    (folder.checkpoint(entry.step) / OPTIMIZER).write_bytes(b"")
    with pytest.raises(DigestMismatch, match=OPTIMIZER):
        folder.verify(entry)


def test_what_the_chain_names_is_on_the_disk_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "train")
    events: list[str] = []
    chain = go_on(folder, folder.resume(RECIPE), 0)
    folder.append_metrics({"step": 1, "loss": 1.0})
    fsync, rename, replace = os.fsync, Path.rename, Path.replace

    def flushed(descriptor: int) -> None:
        fsync(descriptor)
        events.append(f"flushed {Path(f'/proc/self/fd/{descriptor}').readlink().relative_to(folder.root)}")

    def renamed(path: Path, target: Path) -> Path:
        events.append(f"{path.relative_to(folder.root)} becomes {target.relative_to(folder.root)}")
        return rename(path, target)

    def replaced(path: Path, target: Path) -> Path:
        events.append(f"becomes {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(Path, "replace", replaced)
    folder.save(chain, writing(1), step=1, end=8, loss=1.0)
    moved = next(event for event in events if event.endswith(" becomes checkpoints/step-000001"))
    beside = moved.split()[0]
    before = events[: events.index(moved)]
    assert {f"flushed {beside}/{name}" for name in (WEIGHTS, OPTIMIZER, "state.json")} | {f"flushed {beside}"} <= {
        *before
    }
    rest = events[events.index(moved) + 1 :]
    named = rest.index("becomes checkpoints.json")
    assert rest[:2] == ["flushed checkpoints", "flushed metrics.jsonl"]
    assert rest[named - 1].startswith("flushed .checkpoints.json.") and rest[named + 1] == "flushed ."
