"""Corners of DVC that builders meet: bytecode, infinite settings, frozen and nested stages, URLs; with the real dvc."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from registry.errors import InputError, Refused
from registry.project import dvc_lock, dvc_yaml, stage_runs
from registry.project.measure import measure_paths
from registry.records.run import Run
from tests.registry.project.small_dvc import RECORD, commit, dvc, start

PIPELINE = f"""
stages:
  one:
    cmd: {RECORD} -- python code/run.py
    deps: [code]
    outs: [out, one.run.json]
  two:
    cmd: cp out copy
    deps: [out, kept]
    params: [rate]
    outs: [copy]
  three:
    cmd: cp copy last
    deps: [copy]
    outs: [last]
    always_changed: true
"""
FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": "rate: 1e-5\n",
    "kept/a.py": "a",
    "kept/__pycache__/a.cpython-311.pyc": "bytecode",
    "code/run.py": "import helper\nopen('out', 'w').write(helper.WORD)\n",
    "code/helper.py": "WORD = 'word'\n",
    ".gitignore": "__pycache__/\n",
}


@pytest.fixture(autouse=True)
def dvc_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after `dvc repro`; each test puts back what it changes."""
    root = tmp_path_factory.mktemp("corners") / "project"
    start(root, FILES)
    (root / ".dvcignore").write_text("")  # so that DVC counts bytecode
    dvc("repro", root=root, PYTHONDONTWRITEBYTECODE="")
    dvc("freeze", "two", root=root)
    commit(root)
    return root


def test_bytecode_that_a_stage_writes_into_a_dependency_fails_nothing(made: Path) -> None:
    tag = sys.implementation.cache_tag
    assert (made / f"code/__pycache__/helper.{tag}.pyc").is_file()  # written by the stage itself
    assert (Run.read(made / "one.run.json").deps[0].files or {}).keys() == {"helper.py", "run.py"}
    known = {one.run.stage: one for one in stage_runs.gather(made).stages}
    assert (known["one"].evidence, known["one"].committed) == ("ran", ("code",))
    (made / "code/other.pyc").write_text("not where Python writes it")
    try:
        assert "other.pyc" in (measure_paths(made, ["code"])["code"].files or {})
    finally:
        (made / "code/other.pyc").unlink()


def test_a_stage_that_is_only_to_be_run_every_time_is_not_out_of_date(made: Path) -> None:
    assert "always changed" in dvc("status", root=made)
    assert dvc_lock.stale(made) == ()
    before = (made / "copy").read_bytes()
    (made / "copy").unlink()
    (made / "copy").write_text("changed")
    try:
        assert dvc_lock.stale(made) == ("three", "two")
    finally:
        (made / "copy").write_bytes(before)


@pytest.mark.parametrize(("path", "text"), [("kept/a.py", "other"), ("params.yaml", "rate: 2\n")])
def test_a_frozen_stage_whose_inputs_changed_is_refused_until_they_are_back(made: Path, path: str, text: str) -> None:
    """DVC does not look at what a frozen stage reads; the new bytes were once signed as what it read."""
    before = (made / path).read_text()
    (made / path).write_text(text)
    commit(made)
    assert dvc_lock.stale(made) == ()
    with pytest.raises(Refused, match=f"two is frozen, and {path.partition('/')[0]} is not what it read") as problem:
        stage_runs.gather(made)
    assert "dvc unfreeze two && dvc repro two" in problem.value.mend
    (made / path).write_text(before)
    commit(made)
    stage_runs.gather(made)


def test_stages_of_a_dvc_yaml_in_a_folder_that_never_ran_are_named_by_it(made: Path) -> None:
    (made / "below").mkdir()
    (made / "below/dvc.yaml").write_text("stages: {other: {cmd: echo 1 > x, outs: [x]}}\n")
    assert dvc_lock.stale(made) == ("below/dvc.yaml:other",)
    dvc("repro", "--all-pipelines", root=made)
    assert dvc_lock.stale(made) == ()


def test_a_url_is_said_not_to_be_supported() -> None:
    url = "https://data.example/x.csv"
    row = {"cmd": "a", "deps": [{"path": url, "checksum": "1"}]}
    with pytest.raises(InputError, match=f"the stage one names the URL {url}, and URLs are not supported"):
        dvc_lock.parse_lock({"schema": "2.0", "stages": {"one": row}})
    plan = dvc_yaml.parse({"stages": {"one": {"cmd": "a", "deps": [url], "outs": ["b"]}}})
    with pytest.raises(InputError, match=f"names the URL {url}"):
        plan.stage("one")


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "[1, {a: .inf}]"])
def test_a_setting_that_is_not_a_finite_number_is_refused_before_anything_runs(tmp_path: Path, value: str) -> None:
    (tmp_path / "params.yaml").write_text(f"rate: {value}\n")
    plan = dvc_yaml.parse({"stages": {"one": {"cmd": "a", "params": ["rate"], "outs": ["b"]}}})
    with pytest.raises(InputError, match=r"params.yaml has the number -?(inf|nan)"):
        dvc_yaml.settings(tmp_path, plan.stage("one"))
    with pytest.raises(InputError, match=r"params.yaml has the number -?(inf|nan)"):
        dvc_yaml.locked_settings(tmp_path, {"params.yaml": {"rate": None}})


def test_a_frozen_stage_with_a_record_runs_again_by_what_the_refusal_says(made: Path) -> None:
    dvc("freeze", "one", root=made)
    (made / "code/helper.py").write_text("WORD = 'word'  # other code\n")
    commit(made)
    with pytest.raises(Refused, match="one: code is not what it read") as problem:
        stage_runs.gather(made)
    assert "dvc repro --force one (where it is frozen, dvc unfreeze one first)" in problem.value.mend
    dvc("unfreeze", "one", root=made)
    dvc("repro", "--force", "one", root=made)
    commit(made)
    assert [one.evidence for one in stage_runs.gather(made).stages if one.run.stage == "one"] == ["ran"]
