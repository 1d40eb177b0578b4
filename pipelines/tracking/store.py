"""What entries become in MLflow. Only what sends imports mlflow: that takes seconds.

Law: an entry that is told twice, in whole or in part, leaves what it leaves when it is told once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipelines.tracking import flavor
from pipelines.tracking.entries import Begun, Ended, Entry, Evaluated, Exported, File, Measurements
from pipelines.tracking.machine import MachineWatch
from pipelines.tracking.sending import SLOWEST
from registry import variables
from registry.digest import sha256_file
from registry.errors import GlasshouseError, InputError, Unavailable
from registry.records import tracking

EXPERIMENT = "glasshouse"
CANDIDATE = "candidate"
BATCH = 500
"""Figures in one call; MLflow takes at most 1000."""


class Declined(InputError):
    """MLflow will never take this entry: to send it again is of no use."""


class Store:
    """The store that MLFLOW_TRACKING_URI names, as far as entries need it."""

    def __init__(self) -> None:
        tracking.set_defaults()
        self._uri = os.environ[variables.MLFLOW_TRACKING_URI] = tracking.uri(Path())
        self._steps: dict[str, int] = {}
        self._begun: str | None = None
        self._watch: MachineWatch | None = None
        with answering(self._uri):
            from mlflow import MlflowClient

            logging.getLogger("alembic").setLevel(logging.WARNING)
            self._client = MlflowClient()

    def tell(self, entry: Entry) -> None:
        """Tell MLflow of `entry`. Raises Declined where it never takes it, Unavailable where it does not answer."""
        with answering(self._uri):
            match entry:
                case Begun():
                    self._begin(entry)
                case Measurements():
                    self._measure(entry)
                case Ended():
                    self._end(entry)
                case Evaluated():
                    self._evaluate(entry)
                case Exported():
                    self._register(entry)

    def watch(self) -> None:
        """Measure the machine for the training that began last, until it ends. Raises as `tell`."""
        if self._begun is not None and self._watch is None:
            with answering(self._uri):
                self._watch = MachineWatch.begin(self._begun, self._uri)
            self._begun = None

    def _begin(self, entry: Begun) -> None:
        from mlflow.entities import Param

        if (run := self._find(entry.recipe)) is None:
            tags = {tracking.RECIPE: entry.recipe, tracking.DATA: entry.data, **entry.tags}
            new = self._client.create_run(self._experiment(), tags=tags, run_name=entry.recipe[:12])
            run = str(new.info.run_id)
        else:
            self._client.update_run(run, status="RUNNING")
        self._client.log_batch(run, params=[Param(key, value) for key, value in entry.params.items()])
        self._log_dataset(run, entry.data)
        self._begun = run

    def _measure(self, entry: Measurements) -> None:
        """Log the steps that the run does not have yet, never a part of a step alone."""
        run = self._run(entry.recipe)
        if run not in self._steps:
            history = self._client.get_metric_history(run, "loss")
            self._steps[run] = max((metric.step for metric in history), default=0)
        batch: list[tuple[str, float, int]] = []
        for line in entry.lines:
            step = int(line["step"])
            if step > self._steps[run]:
                rows = [(key, value, step) for key, value in line.items() if key != "step"]
                if len(batch) + len(rows) > BATCH:
                    self._log(run, entry.time, batch)
                    batch = []
                batch += rows
        if batch:
            self._log(run, entry.time, batch)

    def _log(self, run: str, time: int, rows: list[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        self._client.log_batch(run, metrics=[Metric(key, value, time, step) for key, value, step in rows])
        self._steps[run] = max(self._steps.get(run, 0), rows[-1][2])

    def _end(self, entry: Ended) -> None:
        run = self._run(entry.recipe)
        if self._watch is not None:
            watch, self._watch = self._watch, None
            watch.finish()
        self._begun = None
        for file in _same(entry.files):
            with _time_for(file.size):
                self._client.log_artifact(run, file.path)
        self._client.set_terminated(run, entry.status)

    def _evaluate(self, entry: Evaluated) -> None:
        from mlflow.entities import Metric

        run = self._run(entry.recipe)
        self._client.log_batch(run, metrics=[Metric(key, value, entry.time, 0) for key, value in entry.figures.items()])
        for file in _same(entry.files):
            with _time_for(file.size):
                self._client.log_artifact(run, file.path, "evaluation")

    def _register(self, entry: Exported) -> None:
        """A version with the files themselves, which no later export changes. The alias is moved last of all."""
        name, model = entry.name, entry.model
        if self._absent("get_registered_model", name):
            self._client.create_registered_model(name)
        found = self._client.search_model_versions(f"name = '{name}' and tag.`{tracking.MODEL}` = '{model}'")
        version = found[0].version if found else self._new_version(entry)
        self._client.set_registered_model_alias(name, CANDIDATE, version)

    def _new_version(self, entry: Exported) -> str:
        run, experiment = self._find(entry.recipe), self._experiment()
        tags = {tracking.MODEL: entry.model, tracking.WEIGHTS: entry.weights, tracking.RECIPE: entry.recipe}
        logged = self._logged(experiment, entry, run, tags)
        version = self._client.create_model_version(
            entry.name, source=f"models:/{logged}", run_id=run, model_id=logged, tags=tags
        )
        return str(version.version)

    def _logged(self, experiment: str, entry: Exported, run: str | None, tags: Mapping[str, str]) -> str:
        """The logged model with these files: one that stands, one whose sending was cut off and goes on, or a new one.

        Raises Declined where the files are no longer those that were exported.
        """
        from mlflow.entities import LoggedModelOutput

        of_these = f"tags.`{tracking.MODEL}` = '{entry.model}'"
        found = self._client.search_logged_models([experiment], filter_string=of_these)
        if whole := [model for model in found if str(model.status) == "READY"]:
            return str(whole[0].model_id)
        _demand_same(entry)
        model = found[0] if found else self._client.create_logged_model(
            experiment, name=entry.name, source_run_id=run, tags=dict(tags), model_type="glasshouse"
        )  # fmt: skip
        for file in entry.files:
            with _time_for(file.size):
                self._client.log_model_artifact(model.model_id, file.path)
        with flavor.described(entry, str(model.model_id), run) as folder:
            self._client.log_model_artifacts(model.model_id, str(folder))
        _demand_same(entry)
        self._client.finalize_logged_model(model.model_id, "READY")
        if run is not None:
            self._client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
        return str(model.model_id)

    def _run(self, recipe: str) -> str:
        if (run := self._find(recipe)) is None:
            raise Declined(
                f"MLflow has no run of the recipe {recipe[:12]}", mend="train with tracking on, or leave it out"
            )
        return run

    def _find(self, recipe: str) -> str | None:
        """The newest run of that recipe, if there is one."""
        of_it = f"tags.`{tracking.RECIPE}` = '{recipe}'"
        runs = self._client.search_runs([self._experiment()], filter_string=of_it, max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _experiment(self) -> str:
        if (found := self._client.get_experiment_by_name(EXPERIMENT)) is not None:
            return str(found.experiment_id)
        where = Path("mlartifacts").resolve().as_uri() if self._uri.startswith("sqlite:") else None
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=where))

    def _absent(self, method: str, name: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            getattr(self._client, method)(name)
        except MlflowException as problem:
            if problem.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return True
        return False

    def _log_dataset(self, run: str, root: str) -> None:
        """The data set under our own digest: the Merkle root of the data manifest."""
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.meta_dataset import MetaDataset
        from mlflow.entities import DatasetInput, InputTag

        dataset = MetaDataset(CodeDatasetSource(tags={}), name="corpus", digest=root[:36])
        told = DatasetInput(dataset=dataset._to_mlflow_entity(), tags=[InputTag("mlflow.data.context", "training")])
        self._client.log_inputs(run, [told])


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Within: what MLflow, its database or the network raises is Declined or Unavailable."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except MlflowException as problem:
        words = tracking.brief(problem)
        if problem.error_code in tracking.PERMANENT:
            raise Declined(words, mend="compare what was recorded with what MLflow holds") from problem
        raise Unavailable(f"{tracking.shown(uri)}: {words}", mend="see that it answers, and send again") from problem
    except DatabaseError as problem:
        words = f"{tracking.shown(uri)} is damaged, or is not a database of MLflow's: {problem.orig}"
        raise Unavailable(words, mend="move it away: MLflow makes a new one") from problem
    except OSError as problem:
        words = tracking.brief(problem)
        raise Unavailable(f"{tracking.shown(uri)}: {words}", mend="see that it answers, and send again") from problem


@contextmanager
def _time_for(size: int) -> Iterator[None]:
    """Within: a request may take as long as a file of `size` bytes does on a slow line."""
    name = variables.MLFLOW_HTTP_REQUEST_TIMEOUT
    usual = os.environ[name]
    os.environ[name] = str(int(float(usual)) + size // SLOWEST)
    try:
        yield
    finally:
        os.environ[name] = usual


def _is_same(file: File) -> bool:
    try:
        return sha256_file(Path(file.path)) == file.sha256
    except (OSError, GlasshouseError):
        return False


def _same(files: tuple[File, ...]) -> Iterator[File]:
    """Those files that are still what they were when they were recorded."""
    return (file for file in files if _is_same(file))


def _demand_same(entry: Exported) -> None:
    if changed := [file.path for file in entry.files if not _is_same(file)]:
        raise Declined(
            f"the model {entry.weights[:12]} is no longer where it was exported: {changed[0]} is another file",
            mend="export it again, and it is registered",
        )
