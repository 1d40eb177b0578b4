"""A project with other stages, paths and a trainer of its own is replayed by what its signed params.yaml declares."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from registry.attest.localkey import KeySigner
from tests import other_project
from tests.audited import WALLED
from tests.conftest import Project
from tests.hub_instance import HubInstance
from tests.other_project.loom.weave import LIE
from tests.sudden_death import private_key

pytestmark = WALLED
RELEASES = Path("releases/cloth")


@pytest.fixture(scope="module")
def weavers(hub: HubInstance, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The other project, built, with the keys to sign it beside it."""
    project = other_project.new_project(tmp_path_factory.mktemp("weavers") / "project")
    project = dataclasses.replace(project, environment={**project.environment, **hub.environment(project.root.parent)})
    private = private_key(project.root.parent / "private.pem")
    private.with_name("public.pem").write_text(KeySigner(private).public_key.pem)
    project.run("dvc", "repro")
    project.commit("Lock what dvc repro built")
    return project


def signed(project: Project, version: str) -> Path:
    """A release of the project as it stands."""
    project.run("glasshouse", "release", "prepare", "--version", version)
    project.run("glasshouse", "release", "sign", str(RELEASES / f"v{version}"), "--key", "../private.pem")
    return RELEASES / f"v{version}"


def replay(project: Project, release: Path, *words: str) -> tuple[int, str]:
    """`glasshouse audit replay`: its exit code, and what it said."""
    done = project.run(
        "glasshouse", "audit", "replay", str(release), "--key", "../public.pem", "--environment", "current",
        "--source", ".", "--checkpoints", "out/cloth/checkpoints", *words, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_it_is_replayed_by_what_it_declares(weavers: Project, tmp_path: Path) -> None:
    release, verdict = signed(weavers, "1.0.0"), tmp_path / "verdict.json"
    code, said = replay(weavers, release, "--segments", "3", "--output", str(verdict))
    assert code == 0, said
    assert "BITWISE: 3 of 3 segments came out the same" in said
    checks = json.loads(verdict.read_bytes())["details"]["checks"]
    assert {check["verdict"] for check in checks} == {"PASS"}
    reasons = {check["subject"]: check["reason"] for check in checks}
    for made in ("provenance/data-manifest.jsonl", "tokenizer.json", "provenance/tokens.json"):
        assert made in reasons["tokens <- source"]
    assert reasons["checkpoint at step 2, where segment 1 begins"] == "1 tensors, and 1 of the optimizer, finite"


@pytest.mark.slow  # of this project's own trainer: test_audit.py
def test_a_step_that_nobody_was_told_of_is_named(weavers: Project) -> None:
    weavers.run("dvc", "repro", "--force", "--single-item", "weave", variables={LIE: "1"})
    weavers.run("dvc", "repro")
    weavers.commit("Lock another cloth")
    code, said = replay(weavers, signed(weavers, "1.1.0"), "--segments", "3")
    assert code == 1, said
    assert "segment 1: step 2 to 4" in said and "step 3 is the first whose loss or gradient departs" in said
    assert "DIFFERENT: 2 of 3 segments came out the same" in said
