"""What `glasshouse launch` prints, as those read it whom it is for: SkyPilot itself, and the schema of Kubernetes."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from registry.project import launching
from tests.conftest import ROOT
from tests.registry.project.test_launching import IMAGE, LAUNCHES

pytestmark = pytest.mark.recipes
PYTHON = ROOT / ".recipes/bin/python"
KUBERNETES = """
import sys, kubernetes_validate, yaml
for document in yaml.safe_load_all(sys.stdin):
    print(document["kind"], kubernetes_validate.validate(document, "1.31", strict=True))
"""
SKYPILOT = """
import sys, sky
task = sky.Task.from_yaml(sys.argv[1])
print(task.name, task.num_nodes, [str(each) for each in task.resources])
"""


def said(code: str, place: Path, text: str) -> str:
    """What `code` prints of the recipe `text`, which is its input, and stands in the file that it is given."""
    file = place / "recipe.yaml"
    file.write_text(text)
    command = [str(PYTHON), "-c", code, str(file)]
    variables = {**os.environ, "HOME": str(place), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False, env=variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("launch", LAUNCHES)
def test_kubernetes_takes_it(launch: launching.Launch, tmp_path: Path) -> None:
    text = launching.recipe("kubernetes", launch, volume="shared", image=IMAGE)
    assert said(KUBERNETES, tmp_path, text).split() == ["Service", "1.31", "Job", "1.31"]
    with pytest.raises(AssertionError, match="ValidationError"):
        said(KUBERNETES, tmp_path, text.replace("completions:", "completion:"))


@pytest.mark.parametrize("launch", LAUNCHES)
def test_skypilot_takes_it(launch: launching.Launch, tmp_path: Path) -> None:
    text = launching.recipe("skypilot", replace(launch, name="run-7"), volume="shared", image=IMAGE)
    assert said(SKYPILOT, tmp_path, text).startswith("run-7 4 ")
    with pytest.raises(AssertionError, match="num_node"):
        said(SKYPILOT, tmp_path, text.replace("num_nodes:", "num_node:"))
