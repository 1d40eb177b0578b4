"""pipelines.tracking: one run for one training, found by its recipe, however often it was interrupted."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipelines import tracking
from pipelines.tracking import sending, spool
from pipelines.tracking.entries import Begun, Ended
from pipelines.tracking.store import Store
from registry import canonical
from registry.digest import sha256_file
from registry.records.checkpoint_chain import Chain
from registry.records.evaluation import Evaluation
from tests.conftest import ALONE, Project


@pytest.fixture
def place(built: Project, tmp_path: Path) -> Path:
    """A copy of the built project, MLflow's store included, whose artifacts stay where they were written."""
    shutil.copytree(built.root, tmp_path / "project", ignore=shutil.ignore_patterns(".dvc", ".git", "releases"))
    return tmp_path / "project"


def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")


def runs(root: Path) -> list[Any]:
    mlflow = client(root)
    experiment = mlflow.get_experiment_by_name("glasshouse")
    assert experiment is not None
    return list(mlflow.search_runs([experiment.experiment_id]))


def stage(built: Project, root: Path, name: str) -> None:
    command = [sys.executable, "-m", f"pipelines.{name}"]
    environment = {**built.environment, "PYTHONPATH": str(root), **ALONE}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_run_holds_all_that_is_known(built: Project) -> None:
    (run,) = runs(built.root)
    recipe = Chain.read(built.root / "build/train/checkpoints.json").recipe
    root = canonical.read(built.root / "build/corpus/data-manifest.json")["root"]
    commit = built.run("git", "rev-list", "--max-parents=0", "HEAD").stdout.strip()
    assert run.info.status == "FINISHED"
    assert run.data.tags["glasshouse.recipe"] == recipe
    assert run.data.tags["glasshouse.data"] == root
    assert run.data.tags["mlflow.source.git.commit"] == commit
    assert run.data.params["model.config.hidden_size"] == "16"
    assert run.data.params["train.steps"] == "10"
    (dataset,) = run.inputs.dataset_inputs
    assert root.startswith(dataset.dataset.digest) and len(dataset.dataset.digest) == 36
    history = client(built.root).get_metric_history(run.info.run_id, "loss")
    assert sorted(metric.step for metric in history) == list(range(1, 11))
    record = Evaluation.read(built.root / "build/evaluation/evaluation.json")
    assert run.data.metrics["evaluation.bitsPerByte"] == record.metrics.bits_per_byte
    assert run.data.metrics["tokensPerSecond"] > 0


@pytest.mark.parametrize("wanted", ["true", "false"])
def test_the_machine_is_measured_while_a_training_goes_on(
    built: Project, place: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", wanted)
    store, recipe = Store(), "a" * 64
    store.tell(Begun(recipe=recipe, data="b" * 64, tags={}, params={}))
    store.watch()
    store.tell(Ended(recipe=recipe, status="FINISHED", files=()))
    (run,) = (each for each in runs(place) if each.data.tags["glasshouse.recipe"] == recipe)
    measured = {key: value for key, value in run.data.metrics.items() if key.startswith("system/")}
    if wanted == "true":
        assert 0 <= measured["system/cpu_utilization_percentage"] <= 100
        assert measured["system/system_memory_usage_megabytes"] > 0
    else:
        assert measured == {}


def test_the_model_is_registered_as_candidate(built: Project) -> None:
    weights = sha256_file(built.root / "build/model/model.safetensors")
    version = client(built.root).get_model_version_by_alias("small", "candidate")
    assert version.tags["glasshouse.weights"] == weights
    assert version.run_id == runs(built.root)[0].info.run_id


@pytest.mark.parametrize(
    "names", [("train",), pytest.param(("train", "export", "evaluate"), marks=pytest.mark.slow)], ids=len
)
def test_stages_run_again_double_nothing(built: Project, place: Path, names: tuple[str, ...]) -> None:
    shutil.rmtree(place / "build/train/checkpoints/step-000010")
    for name in names:
        stage(built, place, name)
    (run,) = runs(place)
    assert run.info.status == "FINISHED"
    history = client(place).get_metric_history(run.info.run_id, "loss")
    assert sorted(metric.step for metric in history) == list(range(1, 11))
    assert len(client(place).search_model_versions("name = 'small'")) == 1


def test_the_uri_of_the_environment_is_respected(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the stage `export` calls at its end: twice, and the second time nothing is registered once more."""
    (place / "mlflow.db").unlink()
    monkeypatch.chdir(place)
    monkeypatch.setenv("PYTHONPATH", str(place))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'other.db'}")
    recipe = Chain.read(place / "build/train/checkpoints.json").recipe
    for starts in (lambda _: None, sending.Sender.start):  # the first waits, and is sent with the second
        monkeypatch.setattr(sending.Sender, "start", starts)
        tracking.registered(recipe, "small", Path("build/model"), sha256_file(place / "build/model/model.safetensors"))
    assert not (place / "mlflow.db").exists() and not spool.waiting()
    other = MlflowClient(tracking_uri=f"sqlite:///{place / 'other.db'}")
    (version,) = other.search_model_versions("name = 'small'")
    assert str(version.version) == str(other.get_model_version_by_alias("small", "candidate").version) == "1"


def test_mlflow_loads_a_version_by_its_own_words(
    built: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The weights that it loads are those that were exported; the files beside them are MLflow's own."""
    import mlflow.transformers
    import torch
    from safetensors.torch import load_file

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{built.root / 'mlflow.db'}")
    loaded = mlflow.transformers.load_model("models:/small@candidate", dst_path=tmp_path, return_type="components")
    exported = load_file(built.root / "build/model/model.safetensors")
    state = loaded["model"].state_dict()
    assert exported and all(torch.equal(state[name], tensor.to(state[name].dtype)) for name, tensor in exported.items())
    text = "a text"
    assert loaded["tokenizer"].decode(loaded["tokenizer"](text)["input_ids"], skip_special_tokens=True) == text
