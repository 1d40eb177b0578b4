"""A team's set-up as docs/how-to/team.md has it: MLflow on PostgreSQL, its artifacts and DVC's remote on S3.

`make team` brings what it needs besides. It is skipped where PostgreSQL is missing.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.digest import sha256_file
from tests import team_instance
from tests.conftest import ROOT, Project, new_project
from tests.hub_instance import HubInstance
from tests.mlflow_instance import free_port, mlflow_server
from tests.registry.attest.conftest import write_key

pytestmark = pytest.mark.team
PROGRAMS = team_instance.postgresql()
PAGE = ROOT / "docs" / "how-to" / "team.md"
MORE = str(ROOT / ".team")
"""Where `make team` installs the drivers."""


@dataclass(frozen=True)
class Team:
    """What a team shares, and a project of theirs that was built and released.

    database: its URI.  s3: the variables of its clients.  tracking: MLflow's URL.  hub: the variables of its clients.
    """

    project: Project
    database: str
    s3: Mapping[str, str]
    tracking: str
    hub: Mapping[str, str]

    @property
    def variables(self) -> dict[str, str]:
        """The environment of each of them."""
        path = os.pathsep.join((self.project.environment["PYTHONPATH"], MORE))
        return {**self.s3, **self.hub, "MLFLOW_TRACKING_URI": self.tracking, "PYTHONPATH": path}

    def told(self, question: str) -> str:
        """What the database answers."""
        assert PROGRAMS is not None
        command = [str(PROGRAMS / "psql"), self.database, "-At", "-c", question]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def page_commands(beginning: str) -> list[list[str]]:
    """The commands of the page that begin so, but for those of other kinds of remotes: tests/e2e/test_remotes.py."""
    page = PAGE.read_text().partition("## A remote of another kind")[0]
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith(beginning)]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    if PROGRAMS is None:
        if os.environ.get("CI"):
            pytest.fail("there is no PostgreSQL: apt-get install postgresql")
        pytest.skip("there is no PostgreSQL")
    folder = tmp_path_factory.mktemp("team")
    project = new_project(folder / "project")
    ((*_, store, _, artifacts),) = page_commands("mlflow server")
    assert store.startswith("postgresql://") and artifacts == "s3://models"
    with (
        team_instance.database(PROGRAMS) as database,
        team_instance.s3(folder, "models", "data") as s3,
        mlflow_server(
            folder / "mlflow", free_port(), store=database, artifacts=artifacts, variables={**s3, "PYTHONPATH": MORE}
        ) as tracking,
        HubInstance.start(folder / "hub") as hub,
    ):
        made = Team(project, database, s3, tracking, hub.environment(folder / "huggingface"))
        for command in page_commands("dvc remote"):
            project.run(*(word.replace("https://s3.example.org", s3["AWS_ENDPOINT_URL"]) for word in command))
        project.commit("The team's remote")
        project.run("dvc", "repro", variables=made.variables)
        project.commit("Lock what dvc repro built")
        project.run("dvc", "push", variables=made.variables)
        key = write_key(folder / "private.pem")
        project.run("glasshouse", "release", "cut", "--key", str(key), variables=made.variables)
        yield made


def test_runs_stand_in_the_database_and_files_in_s3(team: Team) -> None:
    assert team.told("select count(*) from runs where status = 'FINISHED'") == "1"
    assert int(team.told("select count(*) from metrics where key = 'loss'")) == 10
    assert team.told("select alias from registered_model_aliases order by 1").split() == ["candidate", "released"]
    weights = [name for name in team_instance.bucket_names("models", team.s3) if name.endswith("model.safetensors")]
    assert len(weights) == 1 and not list(team.project.root.glob("ml*"))
    assert not list((team.project.root.parent / "mlflow").glob("**/model.safetensors"))


def test_another_machine_has_the_same_bytes_by_git_and_the_remote(team: Team, tmp_path: Path) -> None:
    """Without the caches of the first: a clone, `dvc pull`, and nothing is to be run again."""
    team.project.run("git", "clone", "--quiet", str(team.project.root), str(tmp_path / "clone"))
    other = Project(tmp_path / "clone", {**team.project.environment, "PYTHONPATH": str(tmp_path / "clone")})
    local = Path(".dvc/config.local")
    (other.root / local).write_bytes((team.project.root / local).read_bytes())
    variables = {**team.variables, "PYTHONPATH": os.pathsep.join((str(other.root), MORE))}
    other.run("dvc", "pull", variables=variables)
    for name in ("build/model/model.safetensors", "build/train/checkpoints.json", "build/corpus/data-manifest.jsonl"):
        assert sha256_file(other.root / name) == sha256_file(team.project.root / name)
    assert "up to date" in other.run("dvc", "status", variables=variables).stdout


def test_mlflow_and_the_signed_releases_agree(team: Team) -> None:
    words = ("glasshouse", "doctor", "--releases", "hf://glasshouse/small", "--json")
    done = team.project.run(*words, check=False, variables=team.variables)
    checks = [each for each in json.loads(done.stdout)["checks"] if "MLflow" in each["name"]]
    assert {each["verdict"] for each in checks} == {"PASS"}, checks
    assert "1 releases and 1 versions agree" in [each["found"] for each in checks]
    code = (
        "import mlflow; from mlflow.artifacts import download_artifacts as get; from hashlib import sha256 as s\n"
        "print(s(open(get('models:/small@released') + '/model.safetensors', 'rb').read()).hexdigest())"
    )
    found = team.project.run("python", "-c", code, variables=team.variables).stdout.split()[-1]
    assert found == sha256_file(team.project.root / "build/model/model.safetensors")
