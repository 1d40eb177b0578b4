"""A project whose packages a tool locked is rebuilt and measured by strangers, from that lock: `make environments`.

The locks of uv, Poetry and PEP 751 are written by their tools, and installed by the audit. That of PDM is installed by
PDM. Those of Pixi and of conda-lock name packages of conda's channels, which no registry of Python has: they are as
their tools write them, and the audit says what to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from registry import canonical
from tests.audited import WALLED
from tests.conftest import ROOT
from tests.registry.project.small_dvc import commit, dvc, start
from tests.registry.release.test_adopt import glasshouse, key

__all__ = ["key"]
pytestmark = [pytest.mark.environments, WALLED]
TOOLS = ROOT / ".environments/bin"
"""Where `make environments` puts Poetry and PDM; uv is in this environment."""
PYPROJECT = """[project]
name = "small"
version = "1.0.0"
requires-python = ">=3.11,<3.14"
dependencies = ["numpy>=2", "safetensors>=0.4"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "simple"
url = "%s/"
[tool.pdm]
distribution = false
"""
SIMPLE = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
"""Prints the index that pip asks; Poetry asks another address of it, unless it is told."""
TRAIN = """import pathlib
import numpy
from safetensors.numpy import save_file

pathlib.Path("out").mkdir(exist_ok=True)
save_file({"weights": numpy.arange(12, dtype="f4").reshape(3, 4) / 7}, "out/model.safetensors")
"""
MEASURE = """import pathlib
from safetensors.numpy import load_file

mean = float(load_file("out/model.safetensors")["weights"].mean())
pathlib.Path("metrics.yaml").write_text(f"test:\\n  mean: {mean!r}\\n  of: weights\\n")
"""
FILES = {
    "train.py": TRAIN,
    "LICENSE": "MIT\n",
    "glasshouse.yaml": "release:\n  repo: org/small\n  license: MIT\n  model: out/model.safetensors\n",
    "dvc.yaml": "stages:\n  train:\n    cmd: glasshouse record -- python train.py\n    deps: [train.py]\n"
    "    outs: [out/model.safetensors, train.run.json]\n",
}
MEASURED = {
    "measure.py": MEASURE,
    "dvc.yaml": FILES["dvc.yaml"] + "  measure:\n    cmd: glasshouse record -- python measure.py\n"
    "    deps: [measure.py, out/model.safetensors]\n    outs: [measure.run.json]\n"
    "    metrics: [metrics.yaml: {cache: false}]\n",
}
"""What a project has that measures its model, besides."""
PIXI = """version: 6
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/linux-64/numpy-2.4.6-py311h64a7726_0.conda
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/numpy-2.4.6-py311h64a7726_0.conda
  sha256: 0d7a3d5b6f8f1c2e4b9a8d7c6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f
"""
CONDA = """version: 1
metadata:
  content_hash: {linux-64: 0d7a3d5b6f8f1c2e4b9a8d7c6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f}
  channels: [{url: conda-forge, used_env_vars: []}]
  platforms: [linux-64]
package:
- {name: numpy, version: 2.4.6, manager: conda, platform: linux-64, dependencies: {}, category: main, optional: false}
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """A way to lock the packages of the project."""

    file: str
    """The lock."""
    commands: tuple[tuple[str, ...], ...] = ()
    """What writes it."""
    text: str = ""
    """What it is, where its tool is not to be had."""
    made: tuple[tuple[str, ...], ...] = ()
    """What makes the environment in `.venv` of a clone, where the audit does not."""
    less: str = ""
    """What is removed when it is written."""


USE = ("pdm", "use", "--quiet", "--first", ".venv/bin/python")
FRESH = (
    Locked("uv.lock", (("uv", "lock", "--quiet"),)),
    Locked("poetry.lock", (("poetry", "lock", "--no-interaction", "--quiet"),)),
    Locked(
        "pylock.toml", (("uv", "export", "--quiet", "--format", "pylock.toml", "--output-file", "pylock.toml"),),
        less="uv.lock",
    ),
)  # fmt: skip
OTHERS = (
    Locked(
        "pdm.lock", (("pdm", "use", "--quiet", "--first", sys.executable), ("pdm", "lock", "--quiet"),),
        made=(("pdm", "venv", "create", "--quiet", sys.executable), USE, ("pdm", "sync", "--quiet")),
    ),
    Locked("pixi.lock", text=PIXI),
    Locked("conda-lock.yml", text=CONDA),
)  # fmt: skip


def run(root: Path, words: tuple[str, ...], variables: Mapping[str, str] = MappingProxyType({})) -> None:
    """Run a command in the folder, which has to end well."""
    path = os.pathsep.join((str(TOOLS), str(Path(sys.executable).parent), os.environ["PATH"]))
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment = {**kept, "PATH": path, "HOME": str(root.parent), **variables}
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def released(root: Path, locked: Locked, key: tuple[str, str], more: Mapping[str, str] = MappingProxyType({})) -> Path:
    """A release of the project, locked so. more: files that it has besides, or instead."""
    index = subprocess.run([sys.executable, "-c", SIMPLE], check=True, capture_output=True, text=True).stdout.strip()
    start(
        root,
        {
            **FILES,
            **more,
            "pyproject.toml": PYPROJECT % index,
            ".gitignore": "/.venv/\n/releases/\n/.pdm-python\n/.python-version\n",
        },
    )
    for words in locked.commands:
        run(root, words)
    if locked.less:
        (root / locked.less).unlink()
    if locked.text:
        (root / locked.file).write_text(locked.text)
    dvc("repro", root=root)
    commit(root)
    glasshouse(root, "release", "cut", "--local", "--key", key[0])
    return root / "releases/small/v1.0.0"


def rebuilt(root: Path, release: Path, key: tuple[str, str], *words: str, code: int = 0, how: str = "rebuild") -> str:
    """What the audit of a stranger says."""
    stranger = root.parent / "stranger"
    stranger.mkdir(exist_ok=True)
    command = ("audit", how, str(release), "--key", key[1], "--source", str(root), *words)
    said = glasshouse(stranger, *command, code=code)
    assert "Traceback" not in said
    return said


def packages(root: Path) -> str:
    """With which packages the last rebuild was made, as its verdict says."""
    found = canonical.read(root.parent / "stranger/verdict.json", max_bytes=1 << 20)
    return f"{found['statement']['predicate']['environment']}: {found['statement']['predicate']['packages']}"


@pytest.mark.parametrize("locked", FRESH, ids=lambda locked: locked.file)
def test_a_stranger_installs_what_the_tool_locked_and_gets_the_same_bytes(
    locked: Locked, key: tuple[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    said = rebuilt(root, released(root, locked, key), key)
    assert "\nBITWISE: " in said and packages(root).startswith(f"fresh: {locked.file} sha256:"), said


def test_a_stranger_measures_it_with_what_was_locked(key: tuple[str, str], tmp_path: Path) -> None:
    root = tmp_path / "project"
    release = released(root, FRESH[0], key, MEASURED)
    assert "nothing of it is run" in rebuilt(root, release, key, "--dry-run", how="evaluate")
    assert not (tmp_path / "stranger/verdict.json").exists()
    said = rebuilt(root, release, key, how="evaluate")
    assert "BITWISE     provenance/metrics/metrics.yaml" in said and "test.mean: 0.7857142091 as signed" in said
    assert "packages: fresh (uv.lock sha256:" in said
    # What was written down better than it was measured is named.
    liar = MEASURE.replace("{mean!r}", "{mean + (not pathlib.Path('honest').exists())!r}")
    (root / "measure.py").write_text(liar)
    dvc("repro", root=root)
    (root / "honest").touch()
    commit(root)
    glasshouse(root, "release", "cut", "--local", "--version", "2.0.0", "--key", key[0])
    said = rebuilt(root, release.with_name("v2.0.0"), key, "--tolerance", "0.01", how="evaluate", code=1)
    assert "test.mean is 1.785714209 as signed, 0.7857142091 here" in said


@pytest.mark.parametrize("locked", OTHERS, ids=lambda locked: locked.file)
def test_where_the_audit_makes_no_environment_it_says_so_and_takes_the_one_that_the_tool_makes(
    locked: Locked, key: tuple[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    release = released(root, locked, key)
    said = rebuilt(root, release, key, code=3)
    assert f"no environment is made here from {locked.file}" in said
    assert "--environment current --python ENV/bin/python" in said and "BITWISE" not in said
    if locked.made:
        clone = tmp_path / "clone"
        shutil.copytree(root, clone, ignore=shutil.ignore_patterns("releases", ".venv", ".dvc", ".pdm-python"))
        for words in locked.made:
            run(clone, words)
        said = rebuilt(root, release, key, "--environment", "current", "--python", str(clone / ".venv/bin/python"))
        assert "\nBITWISE: " in said and packages(root).startswith(f"current: {locked.file} sha256:"), said
