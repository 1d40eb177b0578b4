"""What MLflow holds of the versions that point to a release: tags, alias, run, and the bytes of their weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from registry.project.mlflow import LISTED, RELEASED, answering, fetched_digest, files_of, stored
from registry.records import tracking


@dataclass(frozen=True, slots=True)
class RecordedVersion:
    """One version of a registered model, as MLflow has it today."""

    model: str
    """The registered model."""
    number: int
    """Which version."""
    tags: Mapping[str, str]
    """Its tags."""
    alias: bool
    """Whether the alias `released` is at it."""
    run: str | None
    """The run that it came from, where that stands; None where the version names none."""
    run_stands: bool
    """Whether that run is there, and was not deleted."""
    held: Mapping[str, str] | None
    """SHA-256 of its artifacts by the name of the file, for those that were asked for; None where none can be read."""

    def __str__(self) -> str:
        return f"version {self.number} of {self.model}"


def recorded(root: Path, names: Set[str]) -> list[RecordedVersion] | None:
    """The versions in the store of the project at `root`, the newest first; None where it has no store.

    names: files whose bytes are read, of versions that point to a release, or are at the alias `released`.
    Raises Unavailable where MLflow is not installed, or does not answer.
    """
    if not stored(root):
        return None
    tracking.set_defaults()
    uri = tracking.uri(root)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    with answering(uri, "MLflow could not be asked"):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        found = client.search_model_versions(max_results=LISTED, order_by=["last_updated_timestamp DESC"])
        at = {name: client.get_registered_model(name).aliases.get(RELEASED) for name in {each.name for each in found}}
        return [_recorded(client, uri, each, str(each.version) == str(at[each.name]), names) for each in found]


def _recorded(client: Any, uri: str, version: Any, alias: bool, names: Set[str]) -> RecordedVersion:
    tags = dict(version.tags)
    wanted = alias or tracking.RELEASE in tags
    return RecordedVersion(
        version.name, int(version.version), tags, alias, version.run_id or None, _run_stands(client, version.run_id),
        _held(client, uri, version, names) if wanted else {},
    )  # fmt: skip


def _run_stands(client: Any, run: str | None) -> bool:
    from mlflow.exceptions import MlflowException

    if not run:
        return True
    with suppress(MlflowException):
        return bool(client.get_run(run).info.lifecycle_stage == "active")
    return False


def _held(client: Any, uri: str, version: Any, names: Set[str]) -> Mapping[str, str] | None:
    """The digests of the version's artifacts that have one of these names."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException, OSError):
        artifacts = client.get_model_version_download_uri(version.name, version.version)
        paths = [path for path, _ in files_of(artifacts, uri) if PurePosixPath(path).name in names]
        return {PurePosixPath(path).name: fetched_digest(artifacts, path, uri) for path in paths}
    return None
