"""dvc.yaml and the recipe name the code that decides the bytes: all of it, and the same."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import deps, imports, params, recipe
from registry.digest import sha256_file
from registry.errors import InputError
from registry.project import dvc_yaml
from tests.conftest import ROOT, Project
from tests.pipelines.small_project import write_project

SOURCE = tuple(f"{package}/" for package in imports.OURS)


def named() -> dict[str, set[str]]:
    """The code that dvc.yaml names, by stage."""
    plan = dvc_yaml.read(ROOT / "dvc.yaml")
    return {name: {dep for dep in plan.stage(name).deps if dep.startswith(SOURCE)} for name in plan.bodies}


def source_files(root: Path) -> Iterator[str]:
    """All code below `root`, as dvc.yaml names it."""
    for package in imports.OURS:
        for file in (root / package).rglob("*.*"):
            if file.suffix != ".pyc":
                yield file.relative_to(root).as_posix()


def test_dvc_yaml_has_the_code_that_its_stages_import() -> None:
    text = (ROOT / "dvc.yaml").read_text()
    assert deps.rewritten(text) == text, "run `make deps`"
    plan = dvc_yaml.read(ROOT / "dvc.yaml")
    assert all(deps.roots(plan.stage(name).command) for name in plan.bodies)
    assert all("requirements.lock" in plan.stage(name).deps for name in plan.bodies)


def test_what_else_stands_in_dvc_yaml_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "dvc.yaml").read_text()
    other = "  other: {cmd: sh other.sh, deps: [pipelines/other.sh]}  # not ours\n"
    text = text.replace("stages:\n", f"stages:\n{other}", 1) + "# the end\n"
    stale = re.sub(r"(?m)(^      - (pipelines|registry)/.*\n)+", "      - pipelines/gone.py\n", text)
    assert stale.count("gone") == 7 and "params.py" not in stale
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(stale)
    deps.main()
    assert (tmp_path / "dvc.yaml").read_text() == text


def test_a_command_that_cannot_be_followed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="python -m registry lint` imports is not known"):
        deps.rewritten("stages: {a: {cmd: python -m registry record -- python -m registry lint}}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"dvc\.yaml cannot be read"):
        deps.main()


def test_the_recipe_has_the_same_code_as_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = params.load(write_project(tmp_path) / "params.yaml")
    (tokens := tmp_path / "tokens.json").touch()
    lock, code, digests = ROOT / "requirements.lock", imports.code([recipe.TRAINING]), dict[Path, str]()
    monkeypatch.setattr(imports, "code", lambda roots: code)
    monkeypatch.setattr(recipe, "sha256_file", lambda path: digests.setdefault(path, sha256_file(path)))
    first = recipe.chain(settings, tokens, lock).recipe
    assert {*digests} == {ROOT / path for path in named()["train"]} | {tokens, lock}
    for path, digest in [*digests.items()]:
        digests[path] = "0" * 64
        assert recipe.chain(settings, tokens, lock).recipe != first, path
        digests[path] = digest
    assert recipe.chain(settings, tokens, lock).recipe == first


def test_dvc_names_every_stage_whose_code_changed(built: Project, tmp_path: Path) -> None:
    project = Project(Path(shutil.copytree(built.root, tmp_path / "project")), built.environment)
    inert = [path for path in source_files(project.root) if imports.is_inert(path)]
    assert {"pipelines/tracking/store.py", "registry/errors.py", "registry/cli/release.py"} <= {*inert}
    assert changed(project, inert) == {}
    assert changed(project, source_files(project.root)) == named()


def changed(project: Project, paths: Iterator[str] | list[str]) -> dict[str, set[str]]:
    """What `dvc status` holds to be changed, by stage, once a byte was added to the files at `paths`."""
    for path in [*paths]:
        with (project.root / path).open("ab") as stream:
            stream.write(b"\n")
    said: dict[str, list[Any]] = json.loads(project.run("dvc", "status", "--json").stdout)
    return {
        stage: {path for entry in entries for path, how in entry.get("changed deps", {}).items() if how == "modified"}
        for stage, entries in said.items()
    }


def test_a_stage_loads_nothing_that_is_neither_named_nor_inert(built: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    root, loaded = (built.root.parent / "built-in").read_text(), dict[str, set[str]]()
    for record in (built.root.parent / "loaded").iterdir():
        told = json.loads(record.read_bytes())
        if told["command"][1:4] != ["-m", "registry", "record"]:  # measures the stage from outside
            files = (Path(file) for file in told["files"])
            ours = {file.relative_to(root).as_posix() for file in files if file.is_relative_to(root)}
            loaded[told["stage"]] = loaded.get(told["stage"], set()) | ours
    assert loaded.keys() == named().keys()
    inert = {path for paths in loaded.values() for path in paths if imports.is_inert(path)}
    monkeypatch.setattr(imports, "INERT", {})
    inert |= {*imports.code(["pipelines.stage", "pipelines.tracking.__main__"])}
    for stage, code in named().items():
        assert loaded[stage] - inert <= code, stage
        assert len(loaded[stage] & code) > 10, stage
