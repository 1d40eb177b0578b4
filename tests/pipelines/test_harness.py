"""Tasks of the harness, as far as they go without it: what is read of a project's own, what is refused, the record."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import deps, harness_results, local_tasks, params
from registry.errors import GlasshouseError, InputError
from registry.records.harness import HarnessSettings
from tests import harness_tasks
from tests.conftest import ROOT
from tests.pipelines.small_project import write_project

ABSENT = importlib.util.find_spec("lm_eval") is None
EVALUATE = {"prompt": "glass", "sample_tokens": 4, "harness": harness_tasks.ASKED}
RELEASE = {"provenance": ["build/harness/harness.json"]}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that asks for tasks of its own, as the current directory."""
    write_project(tmp_path, documents=1, evaluate=EVALUATE, release=RELEASE)
    harness_tasks.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_params_say_which_tasks_and_the_release_has_to_name_the_record(project: Path) -> None:
    asked = params.load().evaluate.harness
    assert asked is not None and asked.tasks == ("colours", "goes-on") and asked.seeds.fewshot == 1234
    write_project(project / "other", documents=1, evaluate=EVALUATE, release={"provenance": ["params.yaml"]})
    with pytest.raises(InputError, match=r"release\.provenance has to name build/harness/harness\.json"):
        params.load(project / "other/params.yaml")


@pytest.mark.skipif(not ABSENT, reason="lm_eval is installed here")
def test_without_the_extra_it_says_which_and_ends_in_2(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.harness"], cwd=project, env={"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "the extra 'evaluate' is needed" in done.stderr
    assert "mend: pip install 'glasshouse[evaluate]'" in done.stderr


def test_tasks_of_the_project_are_found_with_the_digests_of_their_files(project: Path) -> None:
    found = local_tasks.found("tasks")
    assert set(found) == {"colours", "goes-on"} and local_tasks.found(None) == {}
    assert set(found["colours"].files) == {"tasks/colours.jsonl", "tasks/colours.yaml"}
    assert found["colours"].rows()["test"][1] == {"question": "pane 1 is of", "answer": 1}
    assert found["colours"].config()["metadata"] == {"version": 1.0} and found["colours"].hub is None


@pytest.mark.parametrize(
    ("line", "other", "told"),
    [
        ('doc_to_text: "{{question}}"', "doc_to_text: !function utils.run", "is not plain YAML"),
        ("task: colours", "task: colours\ninclude: ../other.yaml", "include: Extra"),
        ("task: colours", "task: colours\nprocess_docs: utils.run", "process_docs: Extra"),
        ("task: colours", "task: colours\nunsafe_code: true", "unsafe_code: Extra"),
        ("dataset_path: json", "dataset_path: ../json", "dataset_path"),
        ("dataset_path: json", "dataset_path: org/data", "data_files goes with"),
        ("tasks/colours.jsonl", "/etc/passwd", "data_files"),
        ("tasks/colours.jsonl", "params.yaml", "reads params.yaml, which is not a file in tasks"),
        ("tasks/colours.jsonl", "tasks/gone.jsonl", "not a file in tasks"),
        ("metric: acc,", "metric: acc, hf_evaluate: true,", "hf_evaluate: Extra"),
        ("test_split: test\n", "", "neither test_split nor validation_split"),
        ("task: colours", "task: goes-on", "are both called goes-on"),
    ],
)
def test_whatever_else_a_task_could_have_is_refused(project: Path, line: str, other: str, told: str) -> None:
    (project / "tasks/colours.yaml").write_text(harness_tasks.COLOURS.replace(line, other, 1))
    with pytest.raises(InputError, match=told):
        local_tasks.found("tasks")


def test_data_that_are_not_alike_are_refused(project: Path) -> None:
    task = local_tasks.found("tasks")["colours"]
    for data in ("[1]\n", '{"a": 1}\n{"b": 1}\n', "not JSON\n"):
        (project / "tasks/colours.jsonl").write_text(data)
        with pytest.raises(InputError, match=r"colours\.jsonl, line"):
            task.rows()
    with pytest.raises(InputError, match="there is no folder elsewhere"):
        local_tasks.found("elsewhere")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(harness_tasks.COLOURS.splitlines(True))).map(
    lambda lines: "".join(lines).encode()
)))  # fmt: skip
def test_of_any_bytes_a_task_is_read_or_refused(project: Path, data: bytes) -> None:
    (project / "tasks/colours.yaml").write_bytes(data)
    try:
        found = local_tasks.found("tasks")
    except GlasshouseError:
        return
    assert "colours" in found


def results() -> dict[str, Any]:
    """What the harness says of a run, as lm_eval 0.4.13 says it."""
    sample = {"doc_hash": "1", "prompt_hash": "2", "target_hash": "3"}
    config = {
        "task": "colours",
        "output_type": "multiple_choice",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "x"}},
        "metadata": {"version": 1.0, "config_source": "/here"},
    }
    mmlu = {
        "task": "mmlu_anatomy",
        "output_type": "multiple_choice",
        "dataset_path": "cais/mmlu",
        "dataset_name": "anatomy",
        "dataset_kwargs": None,
        "metadata": {"version": 1.0, "config_source": "/there"},
    }
    return {
        "results": {
            "colours": {"alias": "colours", "name": "colours", "sample_len": 12, "acc,none": 1 / 3,
                        "acc_stderr,none": 0.123456789, "f1,strict": 1.0, "f1_stderr,strict": "N/A"},
            "mmlu_anatomy": {"alias": "mmlu", "acc,none": 0.25, "acc_stderr,none": 0.1},
        },
        "groups": {"mmlu": {"alias": "mmlu", "acc,none": 0.25, "acc_stderr,none": 0.1}},
        "configs": {"colours": config, "mmlu_anatomy": mmlu},
        "versions": {"colours": 1.0, "mmlu_anatomy": "Yaml"},
        "n-shot": {"colours": 1, "mmlu_anatomy": 5},
        "higher_is_better": {"colours": {"acc": True, "f1": True}, "mmlu_anatomy": {"acc": True}, "mmlu": {}},
        "n-samples": {"colours": {"original": 12, "effective": 6}, "mmlu_anatomy": {"original": 3, "effective": 3}},
        "samples": {"colours": [sample], "mmlu_anatomy": [sample, sample]},
    }  # fmt: skip


def test_what_the_harness_says_becomes_the_record(project: Path) -> None:
    asked = HarnessSettings(tasks=("colours", "mmlu"))
    made = harness_results.record("a" * 64, asked, results(), local_tasks.found("tasks"), "0.4.13")
    assert made.figures == {
        "harness:colours.acc": 0.333333, "harness:colours.f1.strict": 1.0, "harness:mmlu_anatomy.acc": 0.25,
        "harness:mmlu.acc": 0.25,
    }  # fmt: skip
    colours, mmlu = made.tasks
    assert (colours.documents, colours.of, colours.whole, colours.version) == (6, 12, False, "1.0")
    assert [figure.stderr for figure in colours.figures] == [0.123457, None]
    assert colours.data is None and set(colours.files) == {"tasks/colours.jsonl", "tasks/colours.yaml"}
    assert mmlu.data is not None and (mmlu.data.repo, mmlu.data.name) == ("cais/mmlu", "anatomy") and not mmlu.files
    assert colours.hash != mmlu.hash and made.groups[0].group == "mmlu"


def test_where_a_task_lies_does_not_change_its_digest_and_what_it_asks_does() -> None:
    config = results()["configs"]["mmlu_anatomy"]
    elsewhere = config | {"metadata": {"version": 1.0, "config_source": "/elsewhere"}}
    asked = config | {"doc_to_text": "?"}
    digests = [harness_results.config_digest(one, False) for one in (config, elsewhere, asked)]
    assert digests[0] == digests[1] != digests[2]


def test_a_figure_that_is_not_finite_is_refused() -> None:
    told = results()
    told["results"]["colours"]["acc,none"] = float("nan")
    with pytest.raises(InputError, match="acc of colours is nan, not a finite number"):
        harness_results.record("a" * 64, HarnessSettings(tasks=("colours",)), told, {}, "0.4.13")


def test_the_stage_comes_and_goes_with_the_params() -> None:
    text = (ROOT / "dvc.yaml").read_text()
    wired = deps.rewritten(text, None, harness_tasks.ASKED)
    assert "python -m pipelines.harness" in wired and "      - tasks\n" in wired
    assert "      - pipelines/harness_results.py\n" in wired and wired.count("build/harness/harness.json") == 2
    assert deps.rewritten(wired, None, harness_tasks.ASKED) == wired
    assert deps.rewritten(wired) == text
