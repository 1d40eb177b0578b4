"""What MLflow holds of the versions that point to a release: tags, alias, run, and the bytes of their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from registry.errors import Unavailable
from registry.project.mlflow import LISTED, RELEASED, client_of, fetched_digest, files_of, stored
from registry.records import tracking

MOST = 10_000
"""Versions that are looked at."""


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
    """The versions in the store of the project at `root`; None where it has no store.

    names: files whose bytes are read, of versions that point to a release, or are at the alias `released`.
    Raises Unavailable where MLflow is not installed, or does not answer.
    """
    if not stored(root):
        return None
    with client_of(root, "MLflow could not be asked") as (client, uri):
        found = list(_all(client))
        at = {name: client.get_registered_model(name).aliases.get(RELEASED) for name in {each.name for each in found}}
        return [_recorded(client, uri, each, str(each.version) == str(at[each.name]), names) for each in found]


def _all(client: Any) -> Iterator[Any]:
    """Every version, page after page. Raises Unavailable where there are more than MOST."""
    token, count = None, 0
    while token != "":
        page = client.search_model_versions(max_results=LISTED, page_token=token)
        count += len(page)
        if count > MOST:
            raise Unavailable(f"MLflow holds more than {MOST} versions of models", mend="remove what nobody needs")
        yield from page
        token = page.token or ""


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
    try:
        return bool(client.get_run(run).info.lifecycle_stage == "active")
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def _held(client: Any, uri: str, version: Any, names: Set[str]) -> Mapping[str, str] | None:
    """The digests of the version's artifacts that have one of these names."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException, OSError):
        artifacts = client.get_model_version_download_uri(version.name, version.version)
        paths = [path for path, _ in files_of(artifacts, uri) if PurePosixPath(path).name in names]
        return {PurePosixPath(path).name: fetched_digest(artifacts, path, uri) for path in paths}
    return None
