"""Corners of DVC that builders meet: bytecode, infinite settings, frozen and nested stages, URLs; with the real dvc."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from registry.errors import InputError, Malformed, Refused
from registry.project import dvc_index, dvc_lock, dvc_yaml, stage_runs
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
    assert dvc_index.stale(made) == ()
    before = (made / "copy").read_bytes()
    (made / "copy").unlink()
    (made / "copy").write_text("changed")
    try:
        assert dvc_index.stale(made) == ("three", "two")
    finally:
        (made / "copy").write_bytes(before)


@pytest.mark.parametrize(("path", "text"), [("kept/a.py", "other"), ("params.yaml", "rate: 2\n")])
def test_a_frozen_stage_whose_inputs_changed_is_refused_until_they_are_back(made: Path, path: str, text: str) -> None:
    """DVC does not look at what a frozen stage reads; the new bytes were once signed as what it read."""
    before = (made / path).read_text()
    (made / path).write_text(text)
    commit(made)
    assert dvc_index.stale(made) == ()
    with pytest.raises(Refused, match=f"two is frozen, and {path.partition('/')[0]} is not what it read") as problem:
        stage_runs.gather(made)
    assert "dvc unfreeze two && dvc repro two" in problem.value.mend
    (made / path).write_text(before)
    commit(made)
    stage_runs.gather(made)


def test_stages_of_a_dvc_yaml_in_a_folder_that_never_ran_are_named_by_it(made: Path) -> None:
    (made / "below").mkdir()
    (made / "below/dvc.yaml").write_text("stages: {other: {cmd: echo 1 > x, outs: [x]}}\n")
    assert dvc_index.stale(made) == ("below/dvc.yaml:other",)
    dvc("repro", "--all-pipelines", root=made)
    assert dvc_index.stale(made) == ()


def test_what_a_stage_reads_outside_the_project_is_told_apart_and_no_output_is_there() -> None:
    url = "https://data.example/x.csv"
    md5 = {"md5": "0" * 32, "size": 1}
    deps = [{"path": url, "checksum": "1"}, {"path": "../../up", **md5}, {"path": "/root", **md5}, {"path": "a", **md5}]
    lock = dvc_lock.parse_lock({"schema": "2.0", "stages": {"one": {"cmd": "a", "deps": deps}}}, "sub")
    body = {"cmd": "a", "deps": [url, "../../up", "/root", "a"], "outs": ["b"]}
    plan = dvc_yaml.parse({"stages": {"one": body}}, "sub")
    stage = plan.placed(lock).stages["sub/dvc.yaml:one"]
    assert [dep.path for dep in stage.deps] == ["sub/a"] and plan.stage(stage.name).deps == ("sub/a",)
    assert [(row.place, row.key) for row in stage.outside] == [("../up", "0" * 32), ("/root", "0" * 32), (url, "1")]
    for out in (url, "../../up"):
        row = {"cmd": "a", "outs": [{"path": out, **md5}]}
        with pytest.raises(InputError, match=r"URL|is not allowed"):
            plan.placed(dvc_lock.parse_lock({"schema": "2.0", "stages": {"one": row}}, "sub"))
    with pytest.raises(Malformed, match="what the stage one reads"):
        dvc_lock.parse_lock(
            {"schema": "2.0", "stages": {"one": {"cmd": "a", "deps": [{"path": f"s3://{'x' * 2000}"}]}}}
        )


def test_stages_are_named_by_their_folder_and_none_by_another_s() -> None:
    lock = {"schema": "2.0", "stages": {"one": {"cmd": "a"}}}
    both = dvc_lock.merged(dvc_lock.parse_lock(lock, folder) for folder in ("", "models/small"))
    assert list(both.stages) == ["one", "models/small/dvc.yaml:one"]
    for read in (partial(dvc_lock.parse_lock, folder=""), partial(dvc_yaml.parse, folder="")):
        with pytest.raises(Malformed, match="a path to another"):
            read({"schema": "2.0", "stages": {"models/dvc.yaml:one": {"cmd": "a"}}})


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
