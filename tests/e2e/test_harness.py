"""Tasks of lm-evaluation-harness, from params.yaml to an auditor's verdict: released, verified, and run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import HfApi, parse_eval_result_entries

from registry.attest.audits import Reevaluation
from registry.audit.verdict_file import VerdictFile
from registry.records import layout
from registry.records.harness import HarnessEvaluation
from tests import harness_tasks
from tests.audited import WALLED
from tests.conftest import ALONE, SMALL, Project, new_project
from tests.hub_instance import HubInstance
from tests.pipelines.small_project import params

pytestmark = [pytest.mark.evaluate, WALLED]

LIAR = """\
import builtins, sys
told = builtins.round
def lie(value, digits=None):
    where = sys._getframe(1).f_globals.get("__name__")
    return told(value, digits) + (0.25 if where == "pipelines.harness_results" and digits else 0)
builtins.round = lie
"""
"""A maintainer's sitecustomize.py: the harness measures, and what is written down is better by a quarter."""


@dataclass
class World:
    """A project with tasks of its own, built; and a Hub."""

    hub: HubInstance
    project: Project
    environment: dict[str, str]
    scratch: Path

    @property
    def public(self) -> str:
        return str(self.scratch / "public.pem")

    def build(self) -> None:
        self.project.run("dvc", "repro", variables={**self.environment, **ALONE})
        self.project.commit("Lock")

    def release(self, version: str) -> Path:
        """That version, signed."""
        place = Path(f"releases/small/v{version}")
        for words in (
            ("prepare", "--version", version),
            ("sign", str(place), "--key", str(self.scratch / "private.pem")),
        ):
            self.project.run("glasshouse", "release", *words, variables=self.environment)
        return self.project.root / place

    def audit(self, release: Path, *words: str) -> tuple[int, str]:
        """`glasshouse audit evaluate`: its exit code, and what it said."""
        done = self.project.run(
            "glasshouse", "audit", "evaluate", str(release), "--key", self.public, "--environment", "current",
            "--source", ".", *words, check=False, variables=self.environment,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    scratch = tmp_path_factory.mktemp("harness")
    root = scratch / "project"
    harness_tasks.write(root)
    release = {**SMALL["release"]}
    release["provenance"] = [*release["provenance"], "build/harness/harness.json"]
    project = new_project(root, release=release, evaluate={**params()["evaluate"], "harness": harness_tasks.ASKED})
    project.run("python", "-m", "pipelines.deps")
    project.commit("The stage of the harness")
    key = scratch / "private.pem"
    project.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    project.run("openssl", "ec", "-in", str(key), "-pubout", "-out", str(scratch / "public.pem"))
    with HubInstance.start(scratch / "hub") as hub:
        environment = {**hub.environment(scratch / "huggingface"), "GLASSHOUSE_TRACKING": "off"}
        made = World(hub, project, environment, scratch)
        made.build()
        yield made


def test_tasks_are_released_signed_and_verified(world: World) -> None:
    release = world.release("1.0.0")
    said = world.project.run("glasshouse", "verify", str(release), "--key", world.public, "--json").stdout
    checks = {check["subject"]: check for check in json.loads(said)["checks"]}
    assert "2 tasks of lm_eval 0.4.13 on these weights" in checks["harness <- weights"]["reason"]
    assert {checks[name]["verdict"] for name in ("harness <- weights", "harness statement <- records")} == {"PASS"}
    record = HarnessEvaluation.read(release / layout.HARNESS)
    colours, goes_on = record.tasks
    assert (colours.documents, colours.of, colours.shots, colours.version) == (12, 12, 1, "1.0")
    assert goes_on.output == "generate_until" and goes_on.figures[0].name == "exact_match"
    assert "| colours | 1.0 | 1 | 12 | acc |" in (release / "README.md").read_text()
    policy = {"signers": [{"kind": "key", "pem": Path(world.public).read_text()}]}
    for bound, code in ((0.0, 0), (1.01, 1)):
        asked = world.scratch / "policy.json"
        asked.write_text(json.dumps(policy | {"evaluation": {"harness:colours.acc": {"min": bound}}}))
        words = ("glasshouse", "verify", str(release), "--policy", str(asked))
        assert world.project.run(*words, check=False).returncode == code


def test_an_auditor_measures_the_same(world: World) -> None:
    release, verdict = world.project.root / "releases/small/v1.0.0", world.scratch / "verdict.json"
    code, said = world.audit(release, "--dry-run", "--json")
    plan: dict[str, Any] = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert "nothing of it is run" in said and not verdict.exists()
    assert code == 0 and plan["stages"] == ["evaluate", "harness"] and plan["makers"] == ["corpus", "encode"]
    assert set(plan["compared"]) == {layout.EVALUATION, layout.HARNESS}
    code, said = world.audit(release, "--output", str(verdict))
    assert code == 0, said
    assert "BITWISE     provenance/harness.json" in said and "BITWISE     provenance/evaluation.json" in said
    told = Reevaluation.of(VerdictFile.read(verdict).signable())
    assert told.verdict == "BITWISE" and told.walled and told.stages == ("evaluate", "harness")
    code, said = world.audit(release, "--no-sandbox", "--output", str(verdict))
    assert code == 3 and "nothing walled in the code" in said


def test_one_figure_that_was_bettered_is_named(world: World) -> None:
    liar = world.scratch / "liar"
    liar.mkdir()
    (liar / "sitecustomize.py").write_text(LIAR)
    lying = {**world.environment, "PYTHONPATH": f"{liar}:{world.project.root}"}
    world.project.run("dvc", "repro", "--force", "--single-item", "harness", variables=lying)
    world.build()
    release, verdict = world.release("1.1.0"), world.scratch / "lie.json"
    assert world.project.run("glasshouse", "verify", str(release), "--key", world.public).returncode == 0
    code, said = world.audit(release, "--tolerance", "0.01", "--output", str(verdict))
    assert code == 1, said
    assert "DIFFERENT   provenance/harness.json  harness:colours.acc is" in said
    assert "WITHIN" not in said and "BITWISE     provenance/evaluation.json" in said
    assert Reevaluation.of(VerdictFile.read(verdict).signable()).verdict == "DIFFERENT"


QUIZ = """\
task: quiz
dataset_path: glasshouse/quiz
dataset_kwargs: {revision: %s}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: ["glass", "sand", "stone"]
doc_to_target: "{{answer}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""


def test_a_task_whose_data_a_hub_has_is_shown_beside_them_and_says_why_the_wall_keeps_it_out(world: World) -> None:
    project, hub, asked = world.project, HfApi(world.hub.url, world.hub.token), [*harness_tasks.ASKED["tasks"], "quiz"]
    rows = "".join(f"{json.dumps({'question': f'pane {n} is of', 'answer': n % 3})}\n" for n in range(9))
    hub.create_repo("glasshouse/quiz", repo_type="dataset")
    commit = hub.upload_file(
        path_or_fileobj=rows.encode(), path_in_repo="test.jsonl", repo_id="glasshouse/quiz", repo_type="dataset"
    ).oid
    (project.root / "tasks/quiz.yaml").write_text(QUIZ % commit)
    said = json.loads((project.root / "params.yaml").read_text())
    said["evaluate"]["harness"]["tasks"] = asked
    (project.root / "params.yaml").write_text(json.dumps(said))
    world.build()
    release = world.release("1.2.0")
    assert project.run("glasshouse", "verify", str(release), "--key", world.public).returncode == 0
    (row,) = parse_eval_result_entries(yaml.safe_load((release / ".eval_results/harness.yaml").read_text()))
    (task,) = [one for one in HarnessEvaluation.read(release / layout.HARNESS).tasks if one.task == "quiz"]
    assert (row.dataset_id, row.task_id, row.dataset_revision) == ("glasshouse/quiz", "quiz", commit)
    assert row.value == task.figures[0].value and task.documents == 9
    code, told = world.audit(release)
    assert code == 3 and "the stage harness does not come to its end" in told, told
