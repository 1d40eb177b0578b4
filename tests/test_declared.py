"""pyproject.toml declares what is imported, where it is needed: for the bare command, and for each extra."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from registry.extras import Extra

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = ROOT / "pyproject.toml"
EXTRAS = frozenset(tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"])
ROOMS: dict[str, frozenset[str]] = {
    "registry": frozenset(),
    "registry/project/dvc_repo.py": frozenset({"release"}),
    "registry/project/dvc_lock.py": frozenset({"release"}),
    "registry/project/mlflow.py": frozenset({"release"}),
    "registry/project/mlflow_versions.py": frozenset({"release"}),
    "registry/release/gguf_file.py": frozenset({"gguf"}),
    "registry/records/row_table.py": frozenset({"data"}),
    "registry/server": frozenset({"serve"}),
    "registry/server/store/remote.py": frozenset({"serve", "s3"}),
    "pipelines": frozenset({"release", "pipelines"}),
    "pipelines/corpus/languages.py": frozenset({"release", "pipelines", "languages"}),
    "pipelines/engine/cluster.py": frozenset({"release", "pipelines", "ray"}),
    "pipelines/harness.py": frozenset({"release", "pipelines", "evaluate"}),
    "tests": EXTRAS,
}
"""Which extras the code at a path may import from, besides what the bare command needs. The longest path decides."""

FOREIGN = ("tests/kinds/scripts/", "tests/bench/_peers/")
"""Programs of other projects, each of which says in a requirements.txt of its own what it needs; and programs that run
other projects, which the Makefile installs."""


def lies_in(room: str, path: str) -> bool:
    """Whether `room` decides over `path`."""
    rooms = (name for name in ROOMS if path == name or path.startswith(f"{name}/"))
    return not path.startswith(FOREIGN) and room == max(rooms, key=len, default="")


def issues(scratch: Path, room: str, *more: str, project: Path = PYPROJECT) -> list[str]:
    """What deptry finds in the room alone, copied into `scratch`: a line each."""
    for path in sorted((ROOT / room.split("/")[0]).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if lies_in(room, name):
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, scratch / name)
    command = [sys.executable, "-m", "deptry", ".", "--no-ansi", "--config", str(project), "--exclude", "none", *more]
    absent = ",".join(sorted(EXTRAS - ROOMS[room]))
    command += ["--optional-dependencies-dev-groups", absent] if absent else []
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    found = [line for line in done.stderr.splitlines() if " DEP0" in line]
    assert done.returncode == bool(found) and "Scanning 0 files" not in done.stderr, done.stderr
    return found


def test_the_bare_command_declares_what_it_imports_and_nothing_else(tmp_path: Path) -> None:
    assert issues(tmp_path, "registry", "--per-rule-ignores", "DEP002=pyopenssl") == []  # model-signing imports it


@pytest.mark.parametrize("room", sorted(set(ROOMS) - {"registry"}))
def test_each_extra_declares_what_its_rooms_import(room: str, tmp_path: Path) -> None:
    assert issues(tmp_path, room, "--ignore", "DEP002") == []  # an extra also holds commands and plug-ins


@pytest.mark.parametrize(("room", "module"), [("registry", "httpx2"), ("registry/server", "h11")])
def test_what_is_declared_nowhere_is_found(room: str, module: str, tmp_path: Path) -> None:
    text = PYPROJECT.read_text()
    (line,) = re.findall(rf'    "{module}>=.*\n', text)
    changed = tmp_path / "pyproject.toml"
    changed.write_text(text.replace(line, ""))
    told = issues(tmp_path / "copy", room, "--ignore", "DEP002", project=changed)
    assert told and all(f"DEP003 '{module}'" in row for row in told)


def test_what_an_extra_brings_is_found_in_the_bare_command(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "wrong.py").write_text("import starlette\n")
    assert any("DEP004 'starlette'" in line for line in issues(tmp_path, "registry", "--ignore", "DEP002"))


def test_the_code_knows_each_extra_that_a_user_can_install() -> None:
    assert set(get_args(Extra)) == EXTRAS - {"pipelines", "dev"}
