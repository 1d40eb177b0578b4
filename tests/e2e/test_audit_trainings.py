"""Each way to train, released and then audited behind the wall: replayed by one process, and rebuilt. `make slow`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from tests.audited import WALLED
from tests.conftest import MAINTAINER, SMALL, Project, new_project
from tests.forging import CHECKPOINTS
from tests.hub_instance import HubInstance
from tests.pipelines import small_project
from tests.sigstore_instance import SigstoreInstance

pytestmark = [
    pytest.mark.slow,
    WALLED,
    pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler, and there is no g++"),
]

COMPILED: Mapping[str, Any] = {"profile": "native", "compile": True}
SHARED: Mapping[str, Any] = {
    "profile": "native", "weights": "bfloat16", "activations": "recomputed", "sharding": "fsdp",
    "launch": {"processes": 2, "patience": 60},
}  # fmt: skip


@pytest.mark.parametrize(("changed", "processes"), [(COMPILED, "1"), (SHARED, "2")], ids=["compiled", "shared"])
def test_it_is_released_replayed_by_one_process_and_rebuilt(
    changed: Mapping[str, Any], processes: str, sigstore: SigstoreInstance, hub: HubInstance, tmp_path: Path
) -> None:
    """With weights in several files, which are loaded; and the moments between checkpoints at hand are plausible."""
    train = {**small_project.TRAIN, "steps": 4, "checkpoint_every": 2, **changed}
    release = {**SMALL["release"], "repo": f"glasshouse/{changed['profile']}-{processes}"}
    project = new_project(tmp_path / "project", train=train, release=release, export={"shard_bytes": 20_000})
    project.run("dvc", "repro", variables={"GLASSHOUSE_PROCESSES": processes, "GLASSHOUSE_TRACKING": "off"})
    project.commit("Lock what dvc repro built")
    trust = ("--trust-config", str(sigstore.trust_config_path))
    lent = hub.environment(tmp_path / "huggingface")
    project.run("glasshouse", "release", "cut", *trust, "--identity-token", sigstore.token(MAINTAINER), variables=lent)
    signer = ("--identity", MAINTAINER, "--issuer", sigstore.issuer, *trust)
    (folder,) = (project.root / "releases").glob("*/v1.0.0")
    _, report = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    assert not any(report.values()) and len(list(folder.glob("model-*.safetensors"))) > 1
    said = json.loads(project.run("glasshouse", "verify", *signer, "--json", str(folder)).stdout)
    assert {check["verdict"] for check in said["checks"]} == {"PASS"}, said
    common = (str(folder), "--environment", "current", "--source", ".", *signer)
    words = ("replay", *common, "--segments", "2", "--checkpoints", CHECKPOINTS)
    audit(project, lent, ("taskset", "--cpu-list", "0"), *words)
    audit(project, lent, (), "rebuild", *common)


def audit(project: Project, lent: Mapping[str, str], before: tuple[str, ...], *words: str) -> None:
    """Run `glasshouse audit`; it says BITWISE."""
    done = project.run(*before, "glasshouse", "audit", *words, variables=lent, check=False)
    print(done.stdout + done.stderr)
    assert done.returncode == 0 and "BITWISE" in done.stdout, done.stdout + done.stderr
