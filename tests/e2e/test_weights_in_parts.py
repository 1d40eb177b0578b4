"""Weights in several files with an index: exported, released, verified, loaded; one exchanged is seen. `make slow`."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from tests.conftest import MAINTAINER, Project
from tests.hub_instance import HubInstance
from tests.sigstore_instance import SigstoreInstance

pytestmark = pytest.mark.slow


def test_they_are_released_and_verified(
    built: Project, sigstore: SigstoreInstance, hub: HubInstance, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    shutil.copytree(built.root, root, symlinks=True, ignore=shutil.ignore_patterns("releases", "mlflow.db"))
    project = Project(root, {**built.environment, "PYTHONPATH": str(root), "GLASSHOUSE_TRACKING": "off"})
    params = json.loads((root / "params.yaml").read_bytes())
    params |= {"export": {"shard_bytes": 20_000}, "release": params["release"] | {"repo": "glasshouse/parted"}}
    (root / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
    project.run("dvc", "repro")
    project.commit("Weights in parts")
    trust = ("--trust-config", str(sigstore.trust_config_path))
    project.run(
        "glasshouse", "release", "cut", *trust, "--identity-token", sigstore.token(MAINTAINER),
        variables=hub.environment(tmp_path / "huggingface"),
    )  # fmt: skip
    folder = root / "releases/parted/v1.0.0"
    names = {path.name for path in folder.iterdir()}
    parts = {f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    assert parts | {"model.safetensors.index.json"} <= names and "model.safetensors" not in names
    verify = ("glasshouse", "verify", "--identity", MAINTAINER, "--issuer", sigstore.issuer, *trust)
    said = json.loads(project.run(*verify, "--json", str(folder)).stdout)
    assert {check["verdict"] for check in said["checks"]} == {"PASS"}, said
    _, report = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    assert not any(report.values())
    first, second = (folder / name for name in sorted(parts))
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    done = project.run(*verify, str(folder), check=False)
    assert done.returncode == 1 and first.name in done.stdout
