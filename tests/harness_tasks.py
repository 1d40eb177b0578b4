"""Tasks of a project's own for the harness, small enough to be run in a second, and records of what came of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from registry.records.harness import HarnessEvaluation, HarnessFigure, HarnessSettings, HarnessTask, HubData

FOLDER = "tasks"
COLOURS = """\
task: colours
dataset_path: json
dataset_kwargs: {data_files: {test: tasks/colours.jsonl}}
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: ["glass", "sand", "stone"]
doc_to_target: "{{answer}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""
GOES_ON = """\
task: goes-on
dataset_path: json
dataset_kwargs: {data_files: {test: tasks/colours.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "pane"
generation_kwargs: {until: ["\\n"], max_gen_toks: 4, do_sample: false}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
metadata: {version: 2.0}
"""
ASKED: dict[str, Any] = {"tasks": ["colours", "goes-on"], "include_path": FOLDER, "num_fewshot": 1}
"""What params.yaml asks for."""


def write(root: Path, documents: int = 12) -> None:
    """Write the tasks and their data into the project at `root`."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "colours.yaml").write_text(COLOURS)
    (folder / "goes-on.yaml").write_text(GOES_ON)
    rows = ({"question": f"pane {number} is of", "answer": number % 3} for number in range(documents))
    (folder / "colours.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def figure(value: float = 0.5, name: str = "acc", answers: str = "none", stderr: float | None = 0.1) -> HarnessFigure:
    """A figure."""
    return HarnessFigure(name=name, answers=answers, value=value, stderr=stderr, higher_is_better=True)


def task(name: str = "colours", *figures: HarnessFigure, **facts: Any) -> HarnessTask:
    """What came of a task."""
    told: dict[str, Any] = {
        "version": "1", "config": "c" * 64, "files": {"tasks/colours.yaml": "d" * 64}, "hash": "e" * 64, "data": None,
        "output": "multiple_choice", "shots": 1, "documents": 12, "of": 12,
    }  # fmt: skip
    return HarnessTask(task=name, figures=figures or (figure(),), **{**told, **facts})


def record(*tasks: HarnessTask, weights: str = "a" * 64, **facts: Any) -> HarnessEvaluation:
    """A record of tasks."""
    told: dict[str, Any] = {"lm_eval": "0.4.13", "settings": HarnessSettings(tasks=("colours",)), "groups": ()}
    return HarnessEvaluation(weights=weights, tasks=tasks or (task(),), **{**told, **facts})


HUB = HubData(repo="cais/mmlu", name="anatomy", revision="0" * 40)
"""Where a task's documents can come from."""
