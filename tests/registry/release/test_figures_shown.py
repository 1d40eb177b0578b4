"""`.eval_results`: what of a release's figures a Hub shows, as huggingface_hub's own reader takes it."""

from __future__ import annotations

from pathlib import Path

import yaml
from huggingface_hub import EvalResultEntry, parse_eval_result_entries

from registry.files import write_atomic
from registry.hub import metadata
from registry.records import layout
from registry.records.harness import HarnessTask, HubData
from registry.release import figures_shown
from tests.harness_tasks import HUB, figure, record, task


def shown(draft: Path, *tasks: HarnessTask) -> dict[str, EvalResultEntry]:
    """The rows of harness.yaml by their task, as the library reads them; ours reads them, too."""
    write_atomic(draft / layout.HARNESS, record(*tasks).to_bytes())
    found = figures_shown.files(draft, ())
    assert found.keys() <= {"harness.yaml"}
    data = found.get("harness.yaml", b"[]")
    rows = parse_eval_result_entries(yaml.safe_load(data))
    assert not rows or len(metadata.check_results(data, name="harness.yaml")) == len(rows)
    return {row.task_id: row for row in rows}


def test_each_task_of_a_hub_s_data_is_shown_by_its_first_figure(tmp_path: Path) -> None:
    tasks = (
        task("colours"),
        task("gsm8k", figure(1e-06, "exact_match", "strict-match"), figure(0.75, "other"), data=HubData(
            repo="openai/gsm8k", name=None, revision=None), documents=100, of=1319, shots=5),
        task("mmlu_anatomy", figure(0.25), data=HUB),
    )  # fmt: skip
    rows = shown(tmp_path, *tasks)
    assert rows.keys() == {"gsm8k", "mmlu_anatomy"}
    first, second = rows["gsm8k"], rows["mmlu_anatomy"]
    assert (first.dataset_id, first.value, first.dataset_revision) == ("openai/gsm8k", 1e-06, None)
    assert first.notes == (
        "exact_match, answers through strict-match, 5-shot, 100 of 1319 documents, by lm_eval 0.4.13; "
        "provenance/harness.json has the rest"
    )
    assert (second.dataset_id, second.value, second.dataset_revision) == ("cais/mmlu", 0.25, "0" * 40)
    assert second.notes == "acc, 1-shot, by lm_eval 0.4.13; provenance/harness.json has the rest"


def test_tasks_of_the_project_s_own_are_not_shown(tmp_path: Path) -> None:
    assert shown(tmp_path, task("colours")) == {}
    assert figures_shown.files(tmp_path / "empty", ("org/data",)) == {}
