"""The maintainer's side of MLflow: which model there a release was made from.

MLflow is a place to look, never the authority on what was released: runs can be deleted and aliases move. So models are
found by the digest of their weights, and what is written here is a pointer to the signed release, not the release.

    a version that our pipeline registered   by its tag `glasshouse.weights`
    any other                                by the bytes of its artifacts, which are hashed where name and size fit

With mlflow_versions.py, which reads what is there, this is what imports mlflow in `registry`.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from registry import extras, variables
from registry.digest import sha256_file
from registry.errors import Unavailable
from registry.records import tracking

RELEASED = "released"
"""The alias of the version that was published last."""
NEWEST = 30
"""So many versions, logged models and runs are looked into for the weights."""
LISTED, DEEP = 200, 4
"""The most artifacts of each, and the most folders deep."""
SECONDS = 60.0
"""After so long, no further one is looked into."""
STANDS = "the release stands; run `glasshouse release publish` again when MLflow answers"


@dataclass(frozen=True, slots=True)
class MarkedRelease:
    """What MLflow is told of."""

    reference: str
    """What was published."""
    statement: str
    """SHA-256 of its release statement."""
    lock: str
    """SHA-256 of dvc.lock."""

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags that point to it."""
        return {tracking.RELEASE: self.reference, tracking.STATEMENT: self.statement, tracking.LOCK: self.lock}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a model is in MLflow: as a version, a logged model, an artifact of a run, or several of them."""

    run: str | None = None
    model: str | None = None
    version: Any = None

    def __str__(self) -> str:
        if self.version is not None:
            return f"version {self.version.version} of {self.version.name}"
        return f"the model {self.model}" if self.model else f"the run {self.run}"


def mark_released(root: Path, weights: Mapping[Path, str], release: MarkedRelease) -> str | None:
    """Have MLflow point to `release` where it holds the model with these weights: files by path, and their SHA-256.

    A version gets the alias `released`; version, logged model and run get tags. Returns what was marked, in words, or
    None where MLflow holds no such weights, or the project keeps no store at all. Raises Unavailable where MLflow is
    not installed, does not answer, or takes only a part.
    """
    if not stored(root):
        return None
    with client_of(root, "MLflow could not be told of the release") as (client, uri):
        place = (_tagged(client, weights) or _held(client, uri, weights)) if weights else None
        if place is None:
            return None
        if place.version is not None:  # the alias first: it is what others load by
            client.set_registered_model_alias(place.version.name, RELEASED, place.version.version)
    with answering(uri, f"MLflow: {place} is the release, and not all of its tags could be written"):
        for key, value in release.tags.items():
            if place.version is not None:
                client.set_model_version_tag(place.version.name, place.version.version, key, value)
        if place.model:
            client.set_logged_model_tags(place.model, dict(release.tags))
        for key, value in release.tags.items():
            if place.run:
                client.set_tag(place.run, key, value)
    return f"{place} is `{RELEASED}`" if place.version is not None else f"{place} has the release's tags"


def mark_standing(root: Path, release: str, standing: str) -> str | None:
    """Have MLflow say how `release` (`hf://org/model@v1.0.0`) stands, where it holds versions that point to it.

    Each gets a tag. The alias `released` leaves a version that is yanked: for the newest other that points to a release
    and is not, if there is one. Returns what was said, in words; None where no version points to it, or there is no
    store. Raises Unavailable as `mark_released` does.
    """
    if not stored(root):
        return None
    with client_of(root, f"MLflow could not be told that {release} is {standing}") as (client, _):
        versions = client.search_model_versions(f"tag.`{tracking.RELEASE}` = '{release}'", max_results=NEWEST)
        for version in versions:
            client.set_model_version_tag(version.name, version.version, tracking.STANDING, standing)
        for name in sorted({version.name for version in versions} if standing == "yanked" else ()):
            _move_alias(client, name, [version.version for version in versions if version.name == name])
    names = ", ".join(f"version {version.version} of {version.name}" for version in versions)
    return f"{names}: {standing}" if versions else None


def _move_alias(client: Any, name: str, yanked: list[str]) -> None:
    """Take the alias `released` from the versions `yanked` of the registered model `name`."""
    if str(client.get_registered_model(name).aliases.get(RELEASED)) not in map(str, yanked):
        return
    others = [
        version
        for version in client.search_model_versions(f"name = '{name}'", max_results=LISTED)
        if tracking.RELEASE in version.tags and version.tags.get(tracking.STANDING) != "yanked"
    ]
    if others:
        newest = max(others, key=lambda version: int(version.version))
        client.set_registered_model_alias(name, RELEASED, newest.version)
    else:
        client.delete_registered_model_alias(name, RELEASED)


def stored(root: Path) -> bool:
    """Whether the project at `root` has a store of runs, its own or a server's."""
    return bool(os.environ.get(variables.MLFLOW_TRACKING_URI)) or (root / tracking.STORE).is_file()


@contextmanager
def client_of(root: Path, failed: str) -> Iterator[tuple[Any, str]]:
    """Within: the client of the project's store, and the store's URI. What it raises is Unavailable, as `answering`."""
    tracking.set_defaults()
    uri = tracking.uri(root)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    with answering(uri, failed):
        from mlflow import MlflowClient

        yield MlflowClient(tracking_uri=uri), uri


@contextmanager
def answering(uri: str, failed: str) -> Iterator[None]:
    """Within: what MLflow, its database or the network raises is Unavailable, which begins with `failed`."""
    with extras.needed("release"):
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import DatabaseError
    try:
        yield
    except DatabaseError as problem:
        words = f"{failed}: {tracking.shown(uri)} is damaged, or is not a database of MLflow's: {problem.orig}"
        raise Unavailable(words, mend="the release stands; move the database away: MLflow makes a new one") from problem
    except (MlflowException, OSError) as problem:
        raise Unavailable(f"{failed}: {tracking.brief(problem)}", mend=STANDS) from problem


def _tagged(client: Any, weights: Mapping[Path, str]) -> _Place | None:
    """The newest version that our pipeline registered with one of these files."""
    for sha256 in weights.values():
        found = client.search_model_versions(
            f"tag.`{tracking.WEIGHTS}` = '{sha256}'", max_results=1, order_by=["last_updated_timestamp DESC"]
        )
        if found:
            return _Place(run=found[0].run_id or None, version=found[0])
    return None


def _held(client: Any, uri: str, weights: Mapping[Path, str]) -> _Place | None:
    """The first place, the newest first, whose artifacts hold all of these files. What cannot be read is passed by."""
    from mlflow.exceptions import MlflowException

    alike = {(path.name, path.stat().st_size) for path in weights}
    until = time.monotonic() + SECONDS
    for place, artifacts in _places(client):
        if time.monotonic() > until:
            return None
        with suppress(MlflowException, OSError):
            if {*_digests(artifacts, uri, alike)} >= {*weights.values()}:
                return place
    return None


def _places(client: Any) -> Iterator[tuple[_Place, str]]:
    """Where a model may be, each with the URI of its artifacts: versions, logged models, runs."""
    for version in client.search_model_versions(max_results=NEWEST, order_by=["last_updated_timestamp DESC"]):
        place = _Place(run=version.run_id or None, model=getattr(version, "model_id", None), version=version)
        yield place, client.get_model_version_download_uri(version.name, version.version)
    experiments = [experiment.experiment_id for experiment in client.search_experiments(max_results=NEWEST)]
    for model in client.search_logged_models(experiments, max_results=NEWEST):
        yield _Place(run=model.source_run_id, model=model.model_id), model.artifact_location
    for run in client.search_runs(experiments, max_results=NEWEST):
        yield _Place(run=run.info.run_id), run.info.artifact_uri


def _digests(artifacts: str, uri: str, alike: Set[tuple[str, int]]) -> Iterator[str]:
    """The SHA-256 of each artifact whose name and size are among `alike`."""
    for path, size in files_of(artifacts, uri):
        if (PurePosixPath(path).name, size) in alike:
            yield fetched_digest(artifacts, path, uri)


def fetched_digest(artifacts: str, path: str, uri: str) -> str:
    """The SHA-256 of the artifact at `path`, which is fetched."""
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory(prefix="glasshouse-") as scratch:
        return sha256_file(Path(download_artifacts(_below(artifacts, path), dst_path=scratch, tracking_uri=uri)))


def files_of(artifacts: str, uri: str) -> Iterator[tuple[str, int]]:
    """Path and size of each file, no more than LISTED, no deeper than DEEP."""
    from mlflow.artifacts import list_artifacts

    waiting, listed = [""], 0
    while waiting and listed < LISTED:
        folder = waiting.pop()
        for info in list_artifacts(_below(artifacts, folder), tracking_uri=uri):
            listed += 1
            path = f"{folder}/{PurePosixPath(info.path).name}".lstrip("/")
            if not info.is_dir:
                yield path, int(info.file_size or 0)
            elif path.count("/") < DEEP:
                waiting.append(path)


def _below(artifacts: str, path: str) -> str:
    return f"{artifacts.rstrip('/')}/{path}".rstrip("/")
