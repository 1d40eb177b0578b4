"""registry.project.mlflow: MLflow points at a release, wherever its weights are there, and never at another model."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from registry.digest import sha256_file
from registry.errors import Unavailable
from registry.project import mlflow
from registry.records import tracking

RELEASE = mlflow.MarkedRelease("hf://org/model@v1.0.0", "1" * 64, "2" * 64)
TAGS = dict(RELEASE.tags)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without anything."""
    folder = tmp_path_factory.mktemp("store")
    MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def project(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a store of its own, and a file of weights."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(empty, tmp_path / "mlflow.db")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.onnx").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def client(project: Path) -> Iterator[MlflowClient]:
    """The store of the project, with the experiment `0` in it, and the model `small`."""
    client = MlflowClient(tracking_uri=f"sqlite:///{project / 'mlflow.db'}")
    client.create_experiment("trials", artifact_location=(project / "artifacts").as_uri())
    client.create_registered_model("small")
    yield client


def weights(project: Path) -> dict[Path, str]:
    return {project / "model/model.onnx": sha256_file(project / "model/model.onnx")}


def new_run(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name("trials")
    assert experiment is not None
    return str(client.create_run(experiment.experiment_id).info.run_id)


def new_version(client: MlflowClient, project: Path, run: str, sha256: str) -> str:
    made = client.create_model_version("small", source=str(project), run_id=run, tags={tracking.WEIGHTS: sha256})
    return str(made.version)


def test_a_version_that_was_registered_with_these_weights_gets_alias_and_tags(
    project: Path, client: MlflowClient
) -> None:
    (sha256,) = weights(project).values()
    run = new_run(client)
    new_version(client, project, run, sha256)
    other = new_version(client, project, run, "0" * 64)
    client.set_registered_model_alias("small", "released", other)  # whoever reaches the store may do this
    assert mlflow.mark_released(project, weights(project), RELEASE) == "version 1 of small is `released`"
    version = client.get_model_version_by_alias("small", "released")
    assert str(version.version) == "1" and TAGS.items() <= version.tags.items()
    assert TAGS.items() <= client.get_run(run).data.tags.items()


def test_the_alias_is_right_where_a_tag_cannot_be_written(project: Path, client: MlflowClient) -> None:
    (sha256,) = weights(project).values()
    run = new_run(client)
    new_version(client, project, run, sha256)
    client.set_registered_model_alias("small", "released", new_version(client, project, run, "0" * 64))
    client.delete_run(run)
    with pytest.raises(Unavailable, match="version 1 of small is the release, and not all"):
        mlflow.mark_released(project, weights(project), RELEASE)
    version = client.get_model_version_by_alias("small", "released")
    assert str(version.version) == "1" and TAGS.items() <= version.tags.items()


def test_a_model_of_the_project_s_own_is_found_by_its_bytes(project: Path, client: MlflowClient) -> None:
    run = new_run(client)
    client.log_artifact(run, str(project / "model/model.onnx"), "some/folder")
    assert mlflow.mark_released(project, weights(project), RELEASE) == f"the run {run} has the release's tags"
    experiment = client.get_run(run).info.experiment_id
    logged = client.create_logged_model(experiment, source_run_id=run)
    client.log_model_artifacts(logged.model_id, str(project / "model"))
    client.finalize_logged_model(logged.model_id, "READY")
    told = mlflow.mark_released(project, weights(project), RELEASE)
    assert told == f"the model {logged.model_id} has the release's tags"
    assert TAGS.items() <= client.get_logged_model(logged.model_id).tags.items()
    source = f"{client.get_run(run).info.artifact_uri}/some"
    client.create_model_version("small", source=source, run_id=run)
    client.create_model_version("small", source=(project / "gone").as_uri(), run_id=run)
    assert mlflow.mark_released(project, weights(project), RELEASE) == "version 1 of small is `released`"


def test_other_bytes_of_the_same_name_and_size_are_another_model(project: Path, client: MlflowClient) -> None:
    client.log_artifact(new_run(client), str(project / "model/model.onnx"))
    (project / "model/model.onnx").write_bytes(b"WEIGHTS")
    assert mlflow.mark_released(project, weights(project), RELEASE) is None
    assert mlflow.mark_released(project, {}, RELEASE) is None


def test_a_project_without_a_store_is_told_nothing(project: Path) -> None:
    (project / "mlflow.db").unlink()
    assert mlflow.mark_released(project, weights(project), RELEASE) is None
    assert not (project / "mlflow.db").exists()


def test_a_damaged_store_is_told(project: Path) -> None:
    (project / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(Unavailable, match="is damaged") as problem:
        mlflow.mark_released(project, weights(project), RELEASE)
    assert "the release stands" in problem.value.mend


def test_a_server_that_never_answers_is_not_waited_for(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0), backlog=9) as held:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(Unavailable, match="timed out") as problem:
            mlflow.mark_released(project, weights(project), RELEASE)
    assert "secret" not in problem.value.message and "the release stands" in problem.value.mend
