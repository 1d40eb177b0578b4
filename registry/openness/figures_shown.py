"""`.eval_results/*.yaml`: figures of a release, as a Hub shows them beside the data set that they were measured on.

    validation.yaml    evaluation.json, for the data set that the release names as its own
    harness.yaml       harness.json, for each task whose documents a Hub has
Source: huggingface_hub, `EvalResultEntry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from registry.records import layout
from registry.records.evaluation import Evaluation
from registry.records.harness import UNFILTERED, HarnessEvaluation, HarnessTask, HubData

OWN = "bits-per-byte"
"""The task of the release's own evaluation."""


def files(draft: Path, data_sets: Sequence[str]) -> dict[str, bytes]:
    """Each file by its name, of the records in `draft`; none where there is nothing to show.

    data_sets: those of the release, OWNER/NAME. Raises InputError for a record that is malformed.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    if data_sets and (draft / layout.EVALUATION).is_file():
        rows["validation.yaml"] = _validation(Evaluation.read(draft / layout.EVALUATION), data_sets)
    if (draft / layout.HARNESS).is_file():
        rows["harness.yaml"] = _harness(HarnessEvaluation.read(draft / layout.HARNESS))
    return {
        name: yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=1000).encode()
        for name, said in rows.items()
        if said
    }


def _validation(said: Evaluation, data_sets: Sequence[str]) -> list[dict[str, Any]]:
    notes = f"bits per byte on {said.validation.documents} validation documents; {layout.EVALUATION} has the rest"
    return [
        {"dataset": {"id": name, "task_id": OWN}, "value": said.metrics.bits_per_byte, "notes": notes}
        for name in data_sets
    ]


def _harness(said: HarnessEvaluation) -> list[dict[str, Any]]:
    """The first figure of each task, by the alphabet: a Hub shows one. harness.json has the rest."""
    return [_task(one, one.data, said.lm_eval) for one in said.tasks if one.data is not None]


def _task(task: HarnessTask, data: HubData, version: str) -> dict[str, Any]:
    figure = task.figures[0]
    revision = {"revision": data.revision} if data.revision else {}
    filtered = "" if figure.answers == UNFILTERED else f", answers through {figure.answers}"
    part = "" if task.whole else f", {task.documents} of {task.of} documents"
    how = f"{figure.name}{filtered}, {task.shots}-shot{part}, by lm_eval {version}"
    return {
        "dataset": {"id": data.repo, "task_id": task.task, **revision},
        "value": figure.value,
        "notes": f"{how}; {layout.HARNESS} has the rest",
    }
