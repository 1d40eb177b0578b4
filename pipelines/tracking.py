"""The run in MLflow: a place to look at a training, never the authority on what was trained.

    found by   the tag `glasshouse.recipe`, so a training that was killed goes on in its own run, and no output of a
               stage has to carry a run's number
    where      MLFLOW_TRACKING_URI, else sqlite:///mlflow.db with artifacts in ./mlartifacts
    off        GLASSHOUSE_TRACKING=off

The one module of pipelines that imports mlflow, and only once something is to be recorded: that takes seconds.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.checkpoints import RunFolder
from pipelines.params import Params
from registry import canonical, variables
from registry.digest import sha256_file
from registry.errors import GlasshouseError
from registry.records import data_manifest, folders
from registry.records.checkpoint_chain import Chain
from registry.records.evaluation import Evaluation

EXPERIMENT = "glasshouse"
RECIPE = "glasshouse.recipe"
WEIGHTS = "glasshouse.weights"
DATA = "glasshouse.data"
CANDIDATE = "candidate"
DATA_MANIFEST = Path(folders.CORPUS, data_manifest.SUMMARY)
DVC_LOCK = Path("dvc.lock")
BATCH = 500
"""Metrics in one call; MLflow takes at most 1000."""
EVERY_SECONDS = 5.0


@contextmanager
def training(params: Params, plan: Chain, folder: RunFolder) -> Iterator[Callable[[], None]]:
    """Record a training of the recipe `plan`: gives a function to call now and then, which sends what is new.

    The run ends FINISHED, or FAILED where the block raises.
    """
    if not enabled():
        yield lambda: None
        return
    follower = _Follower(_open_run(params, plan), folder)
    try:
        yield follower.send
    except BaseException:
        follower.end("FAILED")
        raise
    follower.end("FINISHED")


def evaluated(recipe: str, evaluation: Evaluation, pictures: Path) -> None:
    """Add the figures and the pictures of the evaluation to the run of its training."""
    if not enabled() or (run := _find(client := _client(), recipe)) is None:
        return
    figures = {f"evaluation.{key}": value for key, value in evaluation.metrics.as_json().items()}
    _log(client, run, [(key, value, 0) for key, value in figures.items()])
    client.log_artifacts(run, str(pictures), "evaluation")


def registered(recipe: str, name: str, folder: Path, weights: str) -> None:
    """Register the model in `folder` as a version of `name`, once for the same weights, with the alias `candidate`."""
    if not enabled():
        return
    from mlflow.exceptions import MlflowException

    client = _client()
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name)
    found = client.search_model_versions(f"name = '{name}' and tag.`{WEIGHTS}` = '{weights}'", max_results=1)
    version = (
        found[0]
        if found
        else client.create_model_version(
            name,
            source=folder.resolve().as_uri(),
            run_id=_find(client, recipe),
            tags={WEIGHTS: weights, RECIPE: recipe},
        )
    )
    client.set_registered_model_alias(name, CANDIDATE, version.version)


def enabled() -> bool:
    """Whether runs are recorded."""
    return os.environ.get(variables.TRACKING, "on") != "off"


class _Follower:
    """Sends the lines of metrics.jsonl that are not in the run yet, with the speed seen here."""

    def __init__(self, run: str, folder: RunFolder) -> None:
        self._run, self._folder, self._client = run, folder, _client()
        history = self._client.get_metric_history(run, "loss")
        self._sent = max((metric.step for metric in history), default=0)
        self._last = time.monotonic()

    def send(self, *, all_of_it: bool = False) -> None:
        """Send what is new, if it has been a while."""
        now = time.monotonic()
        if not all_of_it and now - self._last < EVERY_SECONDS:
            return
        lines = [line for line in _lines(self._folder.metrics) if line["step"] > self._sent]
        if lines:
            rows = [
                (key, float(value), int(line["step"])) for line in lines for key, value in line.items() if key != "step"
            ]
            tokens = lines[0]["tokens"] / lines[0]["step"] * len(lines)
            rows.append(("tokensPerSecond", tokens / max(now - self._last, 1e-3), int(lines[-1]["step"])))
            _log(self._client, self._run, rows)
            self._sent = int(lines[-1]["step"])
        self._last = now

    def end(self, status: str) -> None:
        """Send the rest and end the run."""
        self.send(all_of_it=True)
        if status == "FINISHED" and (environment := self._folder.environment).is_file():
            self._client.log_artifact(self._run, str(environment))
        self._client.set_terminated(self._run, status)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of metrics so far; another process is writing them."""
    if not path.is_file():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [canonical.parse(line, name=path.name) for line in whole.splitlines()]


def _client() -> Any:
    os.environ.setdefault(variables.MLFLOW_TRACKING_URI, "sqlite:///mlflow.db")
    os.environ.setdefault(variables.MLFLOW_DISABLE_TELEMETRY, "true")
    from mlflow import MlflowClient

    return MlflowClient()


def _open_run(params: Params, plan: Chain) -> str:
    """The run of this recipe, gone on with or new, with all that is known before training."""
    client = _client()
    if (run := _find(client, plan.recipe)) is not None:
        client.update_run(run, status="RUNNING")
        return run
    from mlflow.entities import Param

    root = _data_root()
    tags = {RECIPE: plan.recipe, DATA: root, "glasshouse.profile": plan.profile.name, **_source(), **_system()}
    run = str(client.create_run(_experiment(client), tags=tags, run_name=plan.recipe[:12]).info.run_id)
    values = {"seed": params.seed, **_flat("model", params.model), **_flat("train", params.train)}
    client.log_batch(run, params=[Param(key, str(value)[:6000]) for key, value in values.items()])
    _log_dataset(client, run, root)
    return run


def _find(client: Any, recipe: str) -> str | None:
    """The newest run of that recipe, if there is one."""
    filter_ = f"tags.`{RECIPE}` = '{recipe}'"
    runs = client.search_runs([_experiment(client)], filter_string=filter_, max_results=1)
    return str(runs[0].info.run_id) if runs else None


def _experiment(client: Any) -> str:
    if (found := client.get_experiment_by_name(EXPERIMENT)) is not None:
        return str(found.experiment_id)
    local = os.environ[variables.MLFLOW_TRACKING_URI].startswith("sqlite:")
    where = Path("mlartifacts").resolve().as_uri() if local else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=where))


def _log(client: Any, run: str, rows: list[tuple[str, float, int]]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    for start in range(0, len(rows), BATCH):
        metrics = [Metric(key, value, now, step) for key, value, step in rows[start : start + BATCH]]
        client.log_batch(run, metrics=metrics)


def _log_dataset(client: Any, run: str, root: str) -> None:
    """The data set under our own digest: the Merkle root of the data manifest."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    dataset = MetaDataset(CodeDatasetSource(tags={}), name="corpus", digest=root[:36])
    client.log_inputs(
        run, [DatasetInput(dataset=dataset._to_mlflow_entity(), tags=[InputTag("mlflow.data.context", "training")])]
    )


def _data_root() -> str:
    """The Merkle root of the data manifest, as the corpus stage wrote it; "unknown" where there is none."""
    try:
        summary = canonical.read(DATA_MANIFEST)
    except GlasshouseError:
        return "unknown"
    return str(summary.get("root", "unknown")) if isinstance(summary, dict) else "unknown"


def _source() -> Mapping[str, str]:
    """Git commit, and the digest of dvc.lock: what the working tree was when the training began."""
    tags = {}
    if DVC_LOCK.is_file():
        tags["glasshouse.dvc_lock"] = sha256_file(DVC_LOCK)
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if git.returncode == 0:
        tags["mlflow.source.git.commit"] = git.stdout.strip()
    return tags


def _system() -> Mapping[str, str]:
    cores = len(os.sched_getaffinity(0))
    return {
        "system.platform": platform.platform(),
        "system.python": platform.python_version(),
        "system.cores": str(cores),
    }


def _flat(prefix: str, section: Any) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in section.model_dump(mode="json").items():
        nested = {f"{prefix}.{key}.{inner}": item for inner, item in value.items()} if isinstance(value, dict) else None
        values |= nested if nested is not None else {f"{prefix}.{key}": value}
    return values
