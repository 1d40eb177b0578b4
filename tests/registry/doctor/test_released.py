"""doctor --releases: each way in which MLflow can contradict the signed releases is told; a clean store is clean."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.verifier import Trust, Verifier
from registry.catalog.entry import Whom
from registry.digest import sha256_file
from registry.doctor import released
from registry.project import mlflow, mlflow_versions
from registry.records import layout, tracking
from registry.records.release_record import ReleaseRecord
from registry.release.signing import sign
from registry.report import Verdict
from tests import synthetic_release
from tests.registry.attest.conftest import write_key

NAMES = [f"{synthetic_release.REPO}@v1.0.{number}" for number in range(2)]


class Store:
    """A project with two releases, and an MLflow that points to both."""

    def __init__(self, root: Path, releases: Path) -> None:
        self.root, self.releases = root, releases
        self.client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")

    def told(self, whom: Whom | None = None) -> list[str]:
        """What the doctor finds amiss."""
        found = list(released.compared(self.root, str(self.releases), whom or Whom(Trust()), endpoint=None))
        assert {condition.verdict for condition in found} == {Verdict.FAIL if len(found) > 1 else found[0].verdict}
        return [condition.found for condition in found if condition.verdict is not Verdict.PASS]

    def artifacts(self, version: int) -> Path:
        uri = self.client.get_model_version_download_uri("small", str(version))
        return Path(uri.removeprefix("file://"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("released")
    root, key = scratch / "project", KeySigner(write_key(scratch / "private.pem"))
    (scratch / "policy.json").write_text(json.dumps({"signers": [key.public_key.as_json()]}))
    root.mkdir()
    store = Store(root, scratch / "releases")
    store.client.create_experiment("trials", artifact_location=(root / "artifacts").as_uri())
    store.client.create_registered_model("small")
    for number in range(2):
        folder = store.releases / f"v1.0.{number}"
        record = synthetic_release.write(folder, version=f"1.0.{number}", seed=number, weights_bytes=64)
        sign(folder, key)
        _publish(store, folder, record)
    return scratch


def _publish(store: Store, folder: Path, record: ReleaseRecord) -> None:
    experiment = store.client.get_experiment_by_name("trials")
    assert experiment is not None
    run = store.client.create_run(experiment.experiment_id).info
    store.client.log_artifact(run.run_id, str(folder / layout.WEIGHTS), "model")
    weights = {folder / file.path: file.sha256 for file in record.weights}
    (sha256,) = weights.values()
    source = f"{run.artifact_uri}/model"
    store.client.create_model_version("small", source=source, run_id=run.run_id, tags={tracking.WEIGHTS: sha256})
    bundle = sha256_file(folder / layout.RELEASE_ATTESTATION)
    reference = f"hf://{record.repo}@{record.tag}"
    assert mlflow.mark_released(store.root, weights, mlflow.MarkedRelease(reference, bundle, record.lock))


@pytest.fixture
def store(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy that a test may spoil. The database names its artifacts by their path."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(made, tmp_path / "made")
    root = tmp_path / "made/project"
    with sqlite3.connect(root / "mlflow.db") as database:
        for table, column in (
            ("experiments", "artifact_location"), ("runs", "artifact_uri"),
            ("model_versions", "source"), ("model_versions", "storage_location"),
        ):  # fmt: skip
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(made), str(root.parent)))
    return Store(root, tmp_path / "made/releases")


def test_nothing_is_told_of_a_clean_store(store: Store) -> None:
    assert store.told() == []


PLANTED: dict[str, tuple[Callable[[Store], object], str]] = {
    "version without release": (lambda store: shutil.rmtree(store.releases / "v1.0.0"), "not among the releases"),
    "release without version": (
        lambda store: store.client.delete_model_version("small", "1"), f"no version points to {NAMES[0]}",
    ),
    "alias moved": (
        lambda store: store.client.set_registered_model_alias("small", "released", "1"),
        "the alias `released` is at version 1 of small, and version 2 of small is the newest",
    ),
    "alias gone": (lambda store: store.client.delete_registered_model_alias("small", "released"), "is nowhere"),
    "run deleted": (
        lambda store: store.client.delete_run(store.client.get_model_version("small", "1").run_id), "was deleted",
    ),
    "digest differing": (
        lambda store: store.client.set_model_version_tag("small", "1", tracking.WEIGHTS, "0" * 64), "names weights 00",
    ),
    "bytes differing": (
        lambda store: (store.artifacts(1) / layout.WEIGHTS).write_bytes(b"other"), "its artifact model.safetensors is",
    ),
    "artifact missing": (lambda store: (store.artifacts(2) / layout.WEIGHTS).unlink(), "is not there"),
    "tags edited": (
        lambda store: store.client.set_model_version_tag("small", "2", tracking.STATEMENT, "1" * 64),
        tracking.STATEMENT,
    ),
    "two versions of one release": (
        lambda store: store.client.set_model_version_tag("small", "1", tracking.RELEASE, f"hf://{NAMES[1]}"),
        f"versions 1, 2 of small all say that they are {NAMES[1]}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_each_disagreement_is_told(store: Store, planted: str) -> None:
    spoil, words = PLANTED[planted]
    spoil(store)
    told = store.told()
    assert any(words in line for line in told), told


def test_what_cannot_be_read_accuses_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(artifacts: str, uri: str) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(mlflow_versions, "files_of", lost)
    found = list(released.compared(store.root, str(store.releases), Whom(Trust()), endpoint=None))
    assert {condition.verdict for condition in found} == {Verdict.UNKNOWN} and len(found) == 2


def test_a_project_without_a_store_has_nothing_to_compare(store: Store, tmp_path: Path) -> None:
    (found,) = released.compared(tmp_path, str(store.releases), Whom(Trust()), endpoint=None)
    assert found.verdict is Verdict.PASS


def test_the_alias_leaves_what_was_yanked(store: Store, made: Path) -> None:
    whom = Whom(Trust(), Verifier(Policy.load(made / "policy.json")))
    assert store.told(whom) == []
    assert mlflow.mark_standing(store.root, f"hf://{NAMES[1]}", "yanked") == "version 2 of small: yanked"
    assert str(store.client.get_model_version_by_alias("small", "released").version) == "1"
    assert store.client.get_model_version("small", "2").tags[tracking.STANDING] == "yanked"
    assert mlflow.mark_standing(store.root, f"hf://{NAMES[0]}", "yanked") == "version 1 of small: yanked"
    assert store.client.get_registered_model("small").aliases == {}
    assert mlflow.mark_standing(store.root, "hf://org/none@v1.0.0", "yanked") is None
