"""Whose project has a package called `registry`, too: the command is not affected, and a program is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from registry import __version__, glasshouse
from registry.errors import Unavailable

BIN = Path(sys.executable).parent
COMMANDS = {"command": [str(BIN / "glasshouse")], "module": [sys.executable, "-m", "glasshouse"]}


@pytest.fixture(params=["package", "module", "folder"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Somebody's project, with a `registry` of its own."""
    if request.param == "module":
        (tmp_path / "registry.py").write_text("raise SystemExit('somebody else')")
        return tmp_path
    (tmp_path / "registry").mkdir()
    if request.param == "package":
        (tmp_path / "registry" / "__init__.py").write_text("raise SystemExit('somebody else')")
    return tmp_path


def run(*words: str, project: Path) -> subprocess.CompletedProcess[str]:
    """In the project, which is on Python's path."""
    environment = {"PYTHONPATH": str(project), "PATH": str(BIN), "COLUMNS": "200"}
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("way", COMMANDS)
def test_the_command_is_not_affected(way: str, project: Path) -> None:
    done = run(*COMMANDS[way], "--version", project=project)
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n"), done.stderr
    done = run(*COMMANDS[way], "verify", ".", "--identity", "a@example.org", "--json", project=project)
    assert done.returncode == 2 and '"bad-input"' in done.stdout and not done.stderr


def test_a_program_is_told_which_two_there_are(project: Path) -> None:
    done = run(sys.executable, "-c", "import glasshouse; glasshouse.verify", project=project)
    if next(project.iterdir()).name == "registry" and not any((project / "registry").iterdir()):
        assert done.returncode == 0  # a folder alone gives way to a package
        return
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("ImportError: glasshouse needs its own package `registry`")
    assert str(project / "registry") in last and "PYTHONPATH" in last and "somebody else" not in done.stderr


def test_a_clone_of_glasshouse_is_glasshouse(tmp_path: Path) -> None:
    ours = Path(glasshouse.__file__).parents[1]
    shutil.copytree(ours, tmp_path / "registry", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import glasshouse; print(glasshouse.verify.__code__.co_filename)"
    done = run(sys.executable, "-c", code, project=tmp_path)
    assert done.stdout.strip() == str(tmp_path / "registry" / "api.py"), done.stderr


def test_a_program_that_has_imported_the_other_is_told(tmp_path: Path) -> None:
    (tmp_path / "registry.py").touch()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import registry; sys.path.pop(0)"
    code += "; import glasshouse; glasshouse.verify"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and str(tmp_path / "registry.py") in done.stderr.splitlines()[-1]


def test_a_command_that_is_not_installed_whole_could_not_check(tmp_path: Path) -> None:
    shutil.copytree(Path(glasshouse.__file__).parent, tmp_path / "glasshouse")
    done = run(sys.executable, "-m", "glasshouse", "--version", project=tmp_path)
    assert done.returncode == Unavailable.exit_code
    assert (
        done.stderr.startswith("glasshouse: the package `registry` of glasshouse is missing")
        and "pip install" in done.stderr
    )
