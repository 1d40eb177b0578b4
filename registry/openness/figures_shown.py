"""`.eval_results/*.yaml`: figures of a release, as a Hub shows them beside the data set that they were measured on.

    validation.yaml    evaluation.json, for the data set that the release names as its own
    harness.yaml       harness.json, for each task whose documents a Hub has

Law: a figure that is shown for a task of these records is theirs, or FAIL; one that they do not have is UNKNOWN.
Source: huggingface_hub, `EvalResultEntry`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from registry import strict_yaml
from registry.errors import Unavailable
from registry.files import read_bytes
from registry.hub import metadata
from registry.provenance.stage_lineage import Gap
from registry.records import layout
from registry.records.evaluation import Evaluation
from registry.records.harness import UNFILTERED, HarnessEvaluation, HarnessTask, HubData
from registry.report import Check, Step, ask

OWN = "bits-per-byte"
"""The task of the release's own evaluation."""
ASK = "ask the maintainer where it was measured; evaluation by a stage of the project is recorded"


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


def checks(root: Path, digests: Mapping[str, str]) -> Iterator[Check]:
    """An answer for each file of figures of the release at `root`, whose files have the SHA-256 `digests` by path."""
    for path in sorted(digests):
        if path.startswith(f"{layout.RESULTS}/"):
            yield ask(Step.LINEAGE, f"{path} <- records", partial(_agrees, root, path))


def _agrees(root: Path, path: str) -> str:
    """How far a file of figures is as the records say, in words. Raises Gap or Unavailable where it is not."""
    known = _known(root)
    shown = metadata.check_results(read_bytes(root / path, strict_yaml.MAX_BYTES), name=path)
    for row in shown:
        name, task = row.dataset.id, row.dataset.task_id
        expected = known.get((name, task), known.get((None, task)))
        if expected is None:
            raise Unavailable(f"no record of the release has {task} on {name}, shown as {row.value}", mend=ASK)
        if (row.value, row.dataset.revision) != expected:
            said, found = (f"{value} (revision {at})" for value, at in (expected, (row.value, row.dataset.revision)))
            raise Gap(f"{task} on {name}: it says {found}, the records {said}")
    return f"{len(shown)} figures, each as the records have it"


def _known(root: Path) -> dict[tuple[str | None, str], tuple[float, str | None]]:
    """(data set, task) -> value and revision; the release's own evaluation is of whatever data set is its own."""
    known: dict[tuple[str | None, str], tuple[float, str | None]] = {}
    if (root / layout.EVALUATION).is_file():
        known[None, OWN] = Evaluation.read(root / layout.EVALUATION).metrics.bits_per_byte, None
    if (root / layout.HARNESS).is_file():
        for task in HarnessEvaluation.read(root / layout.HARNESS).tasks:
            if task.data is not None:
                known[task.data.repo, task.task] = task.figures[0].value, task.data.revision or None
    return known
