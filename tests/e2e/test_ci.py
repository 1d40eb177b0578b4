"""The workflow of docs/how-to/ci.md, step by step as it stands there: a release is cut with no stored token."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from registry.hub.client import HubClient
from registry.server.access import publishers
from registry.server.access.publishers import Publisher
from tests.conftest import ROOT, Project
from tests.e2e.conftest import DATA, GGUF, MODEL
from tests.hub_instance import HubInstance
from tests.oidc_issuer import SUBJECT, Issuer
from tests.sigstore_instance import SigstoreInstance

WORKFLOW = "https://github.com/org/project/.github/workflows/release.yml@refs/heads/main"


@dataclass(frozen=True)
class Job:
    """A checkout, the environment of its job, who gives it tokens, and where it publishes to."""

    project: Project
    environment: dict[str, str]
    issuer: Issuer
    hub: HubInstance
    trust: tuple[str, ...]

    def trusted_with(self, *repos: str) -> None:
        for repo in repos:
            made = Publisher(issuer=self.issuer.url, subject=SUBJECT, audience=self.hub.url, repo=repo)
            publishers.trust(self.hub.root, made)

    def cut(self) -> Any:
        """The last step, by itself."""
        words = ("glasshouse", "release", "cut", *self.trust)
        return self.project.run(*words, check=False, variables=self.environment)


def workflow() -> dict[str, Any]:
    """The job that the how-to shows."""
    block = re.search(r"```yaml\n(name: release\n.*?)```", (ROOT / "docs/how-to/ci.md").read_text(), re.DOTALL)
    assert block
    job: dict[str, Any] = yaml.safe_load(block[1])["jobs"]["release"]
    return job


@pytest.fixture
def job(
    accompanied: Project, sigstore: SigstoreInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Job]:
    """On a Hub of its own, which trusts the workflow with nothing yet."""
    root = tmp_path / "checkout"
    shutil.copytree(accompanied.root, root, symlinks=True, ignore=shutil.ignore_patterns("releases"))
    project = Project(root, {**accompanied.environment, "PYTHONPATH": str(root)})
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Issuer.start() as issuer, HubInstance.start(tmp_path / "hub") as hub:
        issuer.mint = lambda audience: sigstore.token(WORKFLOW) if audience == "sigstore" else issuer.token(audience)
        asked = workflow()["env"]
        assert asked["HF_OIDC_RESOURCE"] == "org/model"
        environment = {**issuer.job(hub, MODEL, tmp_path / "huggingface"), "VERSION": "", **project.environment}
        yield Job(project, environment, issuer, hub, ("--trust-config", str(sigstore.trust_config_path)))


def test_the_workflow_of_the_how_to_publishes_all_that_belongs_to_a_release(
    job: Job, sigstore: SigstoreInstance, tell: Callable[[str], None]
) -> None:
    job.trusted_with(MODEL, DATA, GGUF)
    steps = [step["run"] for step in workflow()["steps"] if "run" in step]
    assert steps[0] == "make setup" and steps[2] == "dvc repro" and "release cut --checkpoints" in steps[-1]
    for step in steps[2:-1]:
        job.project.run("bash", "-euo", "pipefail", "-c", step, variables=job.environment)
    cut = f"{steps[-1]} {' '.join(job.trust)}"
    done = job.project.run("bash", "-euo", "pipefail", "-c", cut, variables=job.environment)
    assert f"published hf://{MODEL}@v1.0.0" in done.stdout and f"signed as {WORKFLOW}" in done.stderr
    assert set(job.issuer.asked) == {"sigstore", job.hub.url}
    everyone = HubClient(job.hub.url)
    assert all([*everyone.refs.tags(repo)] == ["v1.0.0"] for repo in (MODEL, DATA, GGUF))
    assert "step-000010" in everyone.refs.branches(MODEL)
    signer = ("--identity", WORKFLOW, "--issuer", sigstore.issuer, *job.trust)
    words = ("glasshouse", "verify", f"hf://{MODEL}@v1.0.0", "--companions", "--json", *signer)
    report = json.loads(job.project.run(*words, variables={"HF_ENDPOINT": job.hub.url}).stdout)
    assert report["verdict"] == "PASS"
    assert "nothing changed since v1.0.0" in job.cut().stdout


def test_who_is_trusted_with_the_model_alone_is_told_before_anything_is_signed(job: Job) -> None:
    job.trusted_with(MODEL, DATA)
    for more in ((), ("--dry-run",)):
        words = ("glasshouse", "release", "cut", *job.trust, *more)
        done = job.project.run(*words, check=False, variables=job.environment)
        assert done.returncode == 4 and "Traceback" not in done.stderr, done.stderr
        assert f"a token for {GGUF}" in done.stderr and f"let {GGUF} trust this workflow" in done.stderr
    assert "sigstore" not in job.issuer.asked and not (job.project.root / "releases").exists()
    assert not HubClient(job.hub.url).repos.exists(MODEL)
