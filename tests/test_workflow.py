"""The workflow that releases Glasshouse: pinned, with no right it does not need, and signing what was built twice."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / ".github" / "workflows" / "release.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(PATH.read_text())
JOBS: dict[str, Any] = WORKFLOW["jobs"]
RIGHTS = {
    "build": {"contents": "read"},
    "rebuild": {"contents": "read"},
    "sign": {"contents": "read", "id-token": "write", "attestations": "write"},
    "publish": {"id-token": "write"},
    "announce": {"contents": "write"},
}
STEPS = [step for job in JOBS.values() for step in job["steps"]]


def test_each_job_has_the_rights_that_it_needs_and_no_other() -> None:
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == RIGHTS


def test_a_tag_alone_starts_it() -> None:
    assert WORKFLOW[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` as true


def test_nothing_is_signed_that_did_not_come_out_twice_nor_published_that_was_not_signed() -> None:
    needs = {name: job.get("needs", []) for name, job in JOBS.items()}
    assert needs["sign"] == ["build", "rebuild"] and needs["publish"] == ["sign"] and needs["announce"] == ["publish"]
    assert JOBS["build"]["runs-on"] != JOBS["rebuild"]["runs-on"]
    assert JOBS["publish"]["environment"] == "pypi"


def test_actions_are_pinned_by_commit_and_say_which_version_that_is() -> None:
    lines = [line.strip() for line in PATH.read_text().splitlines() if re.search(r"\buses:", line)]
    assert len(lines) == sum("uses" in step for step in STEPS)
    assert all(re.fullmatch(r"- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in lines)
    commits: dict[str, set[str]] = {}
    for step in STEPS:
        action, _, commit = step.get("uses", "@").partition("@")
        commits.setdefault(action, set()).add(commit)
    assert all(len(found) == 1 for found in commits.values())  # one version of each


def test_what_it_runs_is_there_and_no_secret_is_needed() -> None:
    assert "secrets." not in PATH.read_text() and "password" not in PATH.read_text()
    made = {name for step in STEPS for name in re.findall(r"make ([\w./-]+)", step.get("run", ""))}
    targets = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    assert made == {"wheel", ".venv/bin/uv"}
    assert all(re.search(rf"^{re.escape(name)}:", targets, re.MULTILINE) for name in made)
    locked = re.findall(r"^sigstore==[0-9.]*", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert len(locked) == 1 and locked[0] in pinned


def test_this_version_has_its_section_in_the_changelog() -> None:
    text = (ROOT / "docs" / "CHANGELOG.md").read_text()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", sections[1])
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def zizmor(path: Path) -> subprocess.CompletedProcess[str]:
    """What it says of the workflow at `path`, asking no network."""
    command = [str(Path(sys.executable).with_name("zizmor")), "--offline", "--persona", "auditor", "--quiet", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_zizmor_finds_nothing_amiss() -> None:
    done = zizmor(PATH)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("permissions: {}", "permissions: write-all"),
        ("persist-credentials: false", "persist-credentials: true"),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@main"),
        ('"$GITHUB_REF_NAME" dist', "${{ github.ref_name }} dist"),
    ],
)
def test_zizmor_would_find_it(old: str, new: str, tmp_path: Path) -> None:
    changed = tmp_path / ".github" / "workflows" / "release.yml"
    changed.parent.mkdir(parents=True)
    assert old in PATH.read_text()
    changed.write_text(PATH.read_text().replace(old, new))
    assert zizmor(changed).returncode > 10  # from 11 on: how grave its gravest finding is
