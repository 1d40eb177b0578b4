"""registry.project.launching: recipes that shells and YAML parsers take, and that nothing hostile gets into."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.errors import InputError
from registry.project import launching
from registry.project.launching import Form, Launch

IMAGE = "ghcr.io/org/train@sha256:" + "0" * 64
LAUNCH = Launch(
    name="train", stage="train", command="python -m pipelines.train", least=2, most=4, processes=8, gpus=False,
    lock="f" * 64, installed=True,
)  # fmt: skip
LAUNCHES = [LAUNCH, replace(LAUNCH, gpus=True), replace(LAUNCH, processes=None, installed=False)]
SBATCH = re.compile(
    r"#SBATCH --(?:(?:job-name|nodes|ntasks-per-node|cpus-per-task|gpus-per-node)=[\w-]+|exclusive|no-kill)"
)
"""Options as sbatch(1) of Slurm 22.05 has them."""
OPTIONS: dict[Form, dict[str, str]] = {
    "slurm": {}, "skypilot": {"volume": "shared"}, "kubernetes": {"volume": "shared", "image": IMAGE},
}  # fmt: skip


def syntax(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def inner(form: Form, text: str) -> str:
    """What each node runs, as the shell, or the parser of YAML, hands it over."""
    if form == "slurm":
        return shlex.split(text.partition("srun --kill-on-bad-exit=0 bash -c ")[2])[0]
    documents = list(yaml.safe_load_all(text))
    if form == "skypilot":
        return str(documents[0]["run"])
    return str(documents[1]["spec"]["template"]["spec"]["containers"][0]["command"][2])


@pytest.mark.parametrize("form", OPTIONS)
@pytest.mark.parametrize(
    "launch", [LAUNCH, replace(LAUNCH, gpus=True), replace(LAUNCH, processes=None, installed=False)]
)
def test_what_is_printed_is_what_shells_and_parsers_take(form: Form, launch: Launch) -> None:
    text = launching.recipe(form, launch, **OPTIONS[form])
    syntax(inner(form, text))
    if form == "slurm":
        syntax(text)
        options = [line for line in text.splitlines() if line.startswith("#SBATCH")]
        assert options and all(SBATCH.fullmatch(line) for line in options)
        assert text.index("#SBATCH") < text.index("set -euo")  # sbatch reads options up to the first command
    if form == "skypilot":
        task = yaml.safe_load(text)
        assert task.keys() <= {"name", "num_nodes", "resources", "volumes", "run"} and task["num_nodes"] == 4
    if form == "kubernetes":
        service, job = yaml.safe_load_all(text)
        pod = job["spec"]["template"]
        assert service["spec"]["selector"] == pod["metadata"]["labels"]
        assert pod["spec"]["subdomain"] == service["metadata"]["name"] == "train"
        assert job["spec"]["completionMode"] == "Indexed" and job["spec"]["completions"] == 4


STAND_INS = {
    "scontrol": "echo node-a; sleep 0.1; echo node-b",
    "srun": 'while [[ $1 == --* ]]; do [[ $1 == --nodelist=* ]] && echo "$1" >> asked; shift; done; exec "$@"',
    "hostname": "echo 10.0.0.1 10.0.0.2",
    "python3": 'mkdir -p "$3/bin"; printf "#!/bin/bash\\necho pip >> asked" > "$3/bin/pip"; chmod +x "$3/bin/pip"',
    "dvc": 'echo "dvc $*"',
    "work": 'echo "work $*"; echo "$GLASSHOUSE_MEETING"',
}
"""Programs of a cluster's nodes, as far as the recipe needs them."""


@pytest.mark.parametrize(("number", "does"), [("0", ["dvc repro train"]), ("1", ["work a b", "10.0.0.1:29400"])])
def test_each_node_does_its_part(number: str, does: list[str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name, code in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{code}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    seen = {"PATH": path, "HOME": str(tmp_path), "SLURM_JOB_NODELIST": "node-[a-b]", "SLURM_NODEID": number}
    text = launching.recipe("slurm", replace(LAUNCH, command="work 'a' b"))
    for _ in range(2):  # the packages are installed once
        done = subprocess.run(["bash", "-c", text], env=seen, cwd=tmp_path, text=True, capture_output=True, check=True)
        assert done.stdout.splitlines() == does
    assert (tmp_path / "asked").read_text().split() == ["--nodelist=node-a", "pip", "pip", "--nodelist=node-a"]


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
@example("a\x1bb")
@example("'; rm -r ~ #")
@example('"$(id)"')
@example("a\nb: c\n---\n- {")
@example("\x85")
@example("\ufeff\u2028x\r")
def test_a_command_stays_one_word_whatever_is_in_it(command: str) -> None:
    for form, options in OPTIONS.items():
        script = inner(form, launching.recipe(form, replace(LAUNCH, command=command), **options))
        assert f"  exec bash -c {shlex.quote(command)}\nfi\n" in script


@pytest.mark.parametrize("name", ["", "a b", "$(id)", "-x", "a\n#SBATCH --uid=0", "A", "a" * 60, "x-", "é", "a.b"])
def test_names_that_are_not_plain_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="not plain"):
        replace(LAUNCH, name=name)
    with pytest.raises(InputError, match="not plain"):
        launching.recipe("skypilot", LAUNCH, volume=name)


@pytest.mark.parametrize("image", ["python:3.11", "a b@sha256:" + "0" * 64, IMAGE + "0", "x\n@sha256:" + "0" * 64])
def test_an_image_is_named_by_its_digest(image: str) -> None:
    with pytest.raises(InputError, match="by its digest"):
        launching.recipe("kubernetes", LAUNCH, volume="shared", image=image)


@pytest.mark.parametrize("numbers", [(0, 1), (3, 2), (1, 5000)])
def test_nodes_are_a_range(numbers: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="not a range"):
        replace(LAUNCH, least=numbers[0], most=numbers[1])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(
        "train:\n  profile: cuda\n  launch: {processes: 8, least_nodes: 1, most_nodes: 2}\n"
    )
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: glasshouse record --discard -- python train.py --x 'a b'\n    outs: [model]\n"
        "  both:\n    cmd: [a, b]\n    outs: [other]\n"
    )
    (tmp_path / "requirements.lock").write_text("torch==2\n")
    return tmp_path


def test_a_project_says_how_it_starts(project: Path) -> None:
    found = launching.read(project, stage="train", name="run-1")
    assert (found.command, found.least, found.most, found.processes) == ("python train.py --x 'a b'", 1, 2, 8)
    assert found.gpus and not found.installed


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("params.yaml", "train: {profile: cuda}\n", "no section launch"),
        ("params.yaml", "train: {launch: {most_nodes: many}}\n", "not a number"),
        ("params.yaml", "train: {launch: {most_nodes: true}}\n", "not a number"),
        ("requirements.lock", None, "cannot be read"),
    ],
)
def test_a_project_that_does_not_say_it_is_told(project: Path, file: str, text: str | None, said: str) -> None:
    (project / file).unlink()
    if text is not None:
        (project / file).write_text(text)
    with pytest.raises(InputError, match=said):
        launching.read(project, stage="train", name="train")


def test_a_stage_of_two_commands_is_refused(project: Path) -> None:
    with pytest.raises(InputError, match="runs 2 commands"):
        launching.read(project, stage="both", name="train")


def test_the_command_prints_it(project: Path) -> None:
    def said(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "registry", "launch", "--project", str(project), *words]
        return subprocess.run(command, text=True, capture_output=True, check=False)

    printed, as_json = said("--print", "slurm"), said("--print", "slurm", "--json")
    assert printed.returncode == as_json.returncode == 0
    assert json.loads(as_json.stdout)["recipe"] == printed.stdout
    assert "#SBATCH --gpus-per-node=8" in printed.stdout
    refused = said("--print", "kubernetes", "--volume", "shared")
    assert refused.returncode == 2 and "--image" in refused.stderr and not refused.stdout
