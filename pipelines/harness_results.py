"""What lm-evaluation-harness says of a run, made a record: harness.json.

Source: lm_eval 0.4.13, result_schema.py. What of it tells when and where it ran is left out: the same weights, tasks
and settings give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.local_tasks import FoundTask
from registry import canonical
from registry.errors import InputError
from registry.records.harness import (
    UNFILTERED,
    HarnessEvaluation,
    HarnessFigure,
    HarnessGroup,
    HarnessSettings,
    HarnessTask,
    HubData,
)
from registry.records.record import validated

DIGITS = 6
"""Figures are rounded to so many, beyond what a C library's logarithm could move."""
STDERR = "_stderr"
_PLACES = ("config_source",)
"""Parts of a task's metadata that say where on a disk it lies."""
_OURS = ("custom_dataset", "dataset_kwargs")
"""Parts of the configuration of a project's own task that this pipeline puts there, or that its files bind."""
MEND = "report it: what lm_eval 0.4.13 writes can be read"


def record(
    weights: str, settings: HarnessSettings, results: Mapping[str, Any], local: Mapping[str, FoundTask], version: str
) -> HarnessEvaluation:
    """The record of `results`, which `simple_evaluate` gave, with samples.

    weights: their SHA-256.  local: the project's own tasks.  version: the harness's. Raises InputError for a figure
    that is not a finite number, and Malformed for results that the harness does not write.
    """
    with validated("what the harness says", mend=MEND):
        return HarnessEvaluation(
            weights=weights,
            lm_eval=version,
            settings=settings,
            tasks=tuple(_task(name, results, local.get(name)) for name in sorted(results["configs"])),
            groups=tuple(_group(name, results) for name in sorted(results.get("groups", {}))),
        )


def _task(name: str, results: Mapping[str, Any], own: FoundTask | None) -> HarnessTask:
    config, count = results["configs"][name], results["n-samples"][name]
    version = results["versions"].get(name)
    return HarnessTask(
        task=name,
        version=None if version is None else str(version),
        config=config_digest(config, own is not None),
        files=own.files if own else {},
        hash=task_hash(results["samples"][name]),
        data=own.hub if own else hub_data(config),
        output=config["output_type"],
        shots=int(results["n-shot"].get(name) or 0),
        documents=count["effective"],
        of=count["original"],
        figures=tuple(figures(results["results"][name], results["higher_is_better"].get(name, {}))),
    )


def _group(name: str, results: Mapping[str, Any]) -> HarnessGroup:
    better = results["higher_is_better"].get(name, {})
    return HarnessGroup(group=name, figures=tuple(figures(results["groups"][name], better)))


def figures(row: Mapping[str, Any], better: Mapping[str, bool | None]) -> Iterator[HarnessFigure]:
    """The figures in a row of results, whose keys are METRIC,FILTER and METRIC_stderr,FILTER; by metric and filter."""
    pairs = sorted(tuple(key.split(",", 1)) for key in row if "," in key)
    for metric, answers in pairs:
        if not metric.endswith(STDERR):
            apart = row.get(f"{metric}{STDERR},{answers}")
            yield HarnessFigure(
                name=metric,
                answers=answers or UNFILTERED,
                value=_number(row[f"{metric},{answers}"], f"{metric} of {row.get('alias', 'a task')}"),
                stderr=_number(apart, f"{metric}{STDERR}") if isinstance(apart, float) else None,
                higher_is_better=better.get(metric),
            )


def _number(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} is {str(value)[:80]}, not a finite number", mend="leave the task, or the metric, out")
    return round(float(value), DIGITS)


def task_hash(samples: Sequence[Mapping[str, Any]]) -> str:
    """The harness's own hash of a task: over the hashes of each document, prompt and target, in the order of documents.

    Source: lm_eval 0.4.13, loggers/evaluation_tracker.py, `task_hashes`.
    """
    words = "".join(one["doc_hash"] + one["prompt_hash"] + one["target_hash"] for one in samples)
    return hashlib.sha256(words.encode("utf-8")).hexdigest()


def config_digest(config: Mapping[str, Any], own: bool) -> str:
    """SHA-256 over the configuration that the harness evaluated with.

    own: whether the task is the project's.
    """
    kept = {key: value for key, value in config.items() if not (own and key in _OURS)}
    if isinstance(metadata := kept.get("metadata"), dict):
        kept["metadata"] = {key: value for key, value in metadata.items() if key not in _PLACES}
    return canonical.digest(json.loads(json.dumps(kept, sort_keys=True, default=str)))


def hub_data(config: Mapping[str, Any]) -> HubData | None:
    """The data set of the Hub that one of the harness's own tasks reads; None where it reads none that can be named."""
    repo, name = config.get("dataset_path"), config.get("dataset_name")
    if not isinstance(repo, str) or repo.count("/") != 1:
        return None
    revision = (config.get("dataset_kwargs") or {}).get("revision")
    full = isinstance(revision, str) and len(revision) == 40
    return HubData(repo=repo, name=name if isinstance(name, str) else None, revision=revision if full else None)
