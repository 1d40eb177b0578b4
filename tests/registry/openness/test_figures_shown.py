"""`.eval_results`: what of a release's figures a Hub shows, as huggingface_hub's own reader takes it."""

from __future__ import annotations

from pathlib import Path

import yaml
from huggingface_hub import EvalResultEntry, parse_eval_result_entries

from registry.files import write_atomic
from registry.hub import metadata
from registry.openness import figures_shown
from registry.openness.documents import figures
from registry.records import layout
from registry.records.evaluation import Evaluation
from registry.records.harness import HarnessTask, HubData
from registry.records.release_record import Companion, ReleaseRecord
from registry.report import Verdict
from tests import synthetic_release
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


def test_a_figure_that_is_shown_is_held_to_the_records(tmp_path: Path) -> None:
    """Another figure of a recorded task FAILs, by whatever file it is shown; one of no record is UNKNOWN."""
    write_atomic(tmp_path / layout.HARNESS, record(task("mmlu_anatomy", figure(0.25), data=HUB)).to_bytes())
    honest = figures_shown.files(tmp_path, ())["harness.yaml"]

    def told(data: bytes, name: str = "harness.yaml") -> tuple[Verdict, str]:
        write_atomic(tmp_path / layout.RESULTS / name, data)
        (check,) = figures.checks(tmp_path, {f"{layout.RESULTS}/{name}": "", "README.md": ""})
        return check.verdict, check.reason

    assert told(honest) == (Verdict.PASS, "1 figures, each as the records have it")
    better = honest.replace(b"value: 0.25", b"value: 0.99")
    for name in ("harness.yaml", "other.yaml"):
        verdict, reason = told(better, name)
        assert verdict is Verdict.FAIL and "0.99" in reason and "0.25" in reason
    for change in ((b"value: 0.25", b"value: '0.25'"), (b"0" * 40, b"1" * 40)):
        assert told(honest.replace(*change))[0] is Verdict.FAIL
    for change in ((b"mmlu_anatomy", b"mmlu_law"), (b"cais/mmlu", b"other/mmlu"), (b"mmlu_anatomy", b"bits-per-byte")):
        assert told(honest.replace(*change)) == (Verdict.UNKNOWN, told(honest.replace(*change))[1])
        assert "no record of the release has" in told(honest.replace(*change))[1]
    assert told(b"- 1")[0] is not Verdict.PASS


def test_the_release_s_own_figure_is_one_of_the_data_published_beside_it(tmp_path: Path) -> None:
    synthetic_release.write(tmp_path)
    released = ReleaseRecord.read(tmp_path / layout.RECORD)
    own = Companion(repo="datasets/org/own", content="0" * 64, files=1, size=1)
    write_atomic(tmp_path / layout.RECORD, released.model_copy(update={"companions": (own,)}).to_bytes())

    def told(data_set: str, change: tuple[bytes, bytes] = (b"", b"")) -> Verdict:
        shown = figures_shown.files(tmp_path, (data_set,))["validation.yaml"].replace(*change)
        write_atomic(tmp_path / layout.RESULTS / "validation.yaml", shown)
        (check,) = figures.checks(tmp_path, {f"{layout.RESULTS}/validation.yaml": ""})
        return check.verdict

    value = Evaluation.read(tmp_path / layout.EVALUATION).metrics.bits_per_byte
    assert told("org/own") is Verdict.PASS
    assert told("org/own", (f"value: {value}".encode(), b"value: 0.01")) is Verdict.FAIL
    assert told("allenai/c4") is Verdict.UNKNOWN  # the very figure, beside data that it was not measured on
