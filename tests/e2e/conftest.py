"""What several tests here share: the small project, with its data and GGUF files as companions."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.conftest import SMALL, Project

MODEL, DATA, GGUF = "glasshouse/small", "datasets/glasshouse/small-data", "glasshouse/small-GGUF"
COMPANIONS = [{"kind": "data", "repo": DATA}, {"kind": "gguf", "repo": GGUF, "types": ["F32", "Q8_0"]}]


@pytest.fixture(scope="session")
def accompanied(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project, with companions. Shared: do not change it but for its releases."""
    root = tmp_path_factory.mktemp("accompanied") / "project"
    shutil.copytree(built.root, root, symlinks=True, ignore=shutil.ignore_patterns("releases", "mlflow.db"))
    project = Project(root, {**built.environment, "PYTHONPATH": str(root), "GLASSHOUSE_TRACKING": "off"})
    params = json.loads((root / "params.yaml").read_text())
    params["release"] = {**SMALL["release"], "companions": COMPANIONS}
    (root / "params.yaml").write_text(json.dumps(params))
    project.run("dvc", "repro", "release")
    project.commit("Companions")
    return project
