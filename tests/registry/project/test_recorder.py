"""registry.project.recorder and .stages, under the real dvc: what is recorded, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import strict_yaml
from registry.digest import sha256_bytes
from registry.errors import InputError, Refused
from registry.project import dvc_lock as dvc_lock
from registry.project import dvc_yaml, stage_runs
from registry.project import recorder as recorder
from registry.records.run import Run, directory_digest
from tests.registry.attest.test_statement import VALUES
from tests.registry.project import small_dvc
from tests.registry.project.small_dvc import RECORD, commit, dvc, git

PIPELINE = f"""
stages:
  one:
    cmd: {RECORD} -- sh one.sh
    deps: [code, in]
    params: [size, nested.key, other.yaml: [a], whole.json: , opaque.toml: [b]]
    outs: [out, one.run.json]
  two:
    cmd: {RECORD} -- sh two.sh
    deps: [out/x]
    outs: [{{kept: {{persist: true}}}}, build/two.run.json]
    metrics: [figures.json: {{cache: false}}]
  three:
    cmd: cp figures.json copy
    deps: [figures.json]
    params: [nested, rate]
    outs: [copy]
"""
FILES = {
    "dvc.yaml": PIPELINE,
    "in": "input",
    "one.sh": "mkdir -p out && cp in out/x && cp code/a.py out/y; sleep ${SLEEP:-0}; exit ${FAIL:-0}",
    "two.sh": "mkdir -p kept && cat kept/* out/x > figures.json 2>/dev/null; cp out/x kept/x",
    "code/a.py": "a",
    "code/__pycache__/a.pyc": "compiled",
    "params.yaml": "size: 1\nnested: {key: [1, 2.5, null]}\nrate: 1e-5\nunused: 1\n",
    "other.yaml": "a: text\nb: 2\n",
    "whole.json": '{"all": true}',
    "opaque.toml": "b = 1\n",
    ".dvcignore": "__pycache__/\n",
    ".gitignore": "__pycache__/\n/in\n",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after `dvc repro`. Shared: copy it before changing it."""
    return small_dvc.build(tmp_path_factory.mktemp("recorded") / "project", FILES)


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "project"))


@pytest.fixture
def stage(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Records a command as dvc runs it, without dvc."""

    def run(name: str, *command: str, discard: bool = False) -> int:
        monkeypatch.chdir(project)
        monkeypatch.setenv("DVC_STAGE", name)
        return recorder.record(recorder.project(), command, discard=discard)

    return run


def test_a_run_is_recorded_with_what_went_in_and_what_came_out(made: Path) -> None:
    run = Run.read(made / "one.run.json")
    assert (run.stage, run.command) == ("one", f"{RECORD} -- sh one.sh")
    assert run.params == {
        "params.yaml": {"size": 1, "nested.key": [1, 2.5, None]},
        "other.yaml": {"a": "text"},
        "whole.json": {"all": True},
    }
    assert {dep.path: dep.sha256 for dep in run.deps} == {
        "code": directory_digest({"a.py": sha256_bytes(b"a")}),
        "in": sha256_bytes(b"input"),
        "opaque.toml": sha256_bytes(b"b = 1\n"),
    }
    assert [out.files for out in run.outs] == [{"x": sha256_bytes(b"input"), "y": sha256_bytes(b"a")}]
    two = Run.read(made / "build" / "two.run.json")
    assert [item.path for item in two.outs] == ["kept", "figures.json"] and two.deps[0].sha256 == sha256_bytes(b"input")


def test_all_stages_are_gathered_and_each_says_what_is_known(made: Path) -> None:
    found = {known.run.stage: known for known in stage_runs.gather(made).stages}
    assert {name: known.evidence for name, known in found.items()} == {
        "one": "ran",
        "two": "ran",
        "three": "unrecorded",
    }
    assert found["one"].committed == ("code", "opaque.toml")  # `in` is in no commit
    three = found["three"].run
    assert three.params == {"params.yaml": {"nested": {"key": [1, 2.5, None]}, "rate": 1e-5}}
    assert (three.command, three.deps[0].sha256) == ("cp figures.json copy", three.outs[0].sha256)


def test_a_changed_dependency_that_git_overlooks_is_refused_though_its_run_was_recorded(project: Path) -> None:
    git("update-index", "--skip-worktree", "code/a.py", root=project)
    (project / "code/a.py").write_text("changed")
    dvc("repro", root=project)
    commit(project)
    with pytest.raises(Refused, match=r"^code/a.py: not the bytes that the commit has"):
        stage_runs.gather(project)


def test_doing_it_again_elsewhere_gives_the_same_record(made: Path, tmp_path: Path) -> None:
    git("init", "--quiet", "elsewhere", root=tmp_path)
    for path, text in FILES.items():
        if "__pycache__" not in path:
            (tmp_path / "elsewhere" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "elsewhere" / path).write_text(text)
    dvc("init", "--quiet", "--force", root=tmp_path / "elsewhere")
    dvc("repro", root=tmp_path / "elsewhere")
    for record in ("one.run.json", "build/two.run.json", "dvc.lock"):
        assert (tmp_path / "elsewhere" / record).read_bytes() == (made / record).read_bytes()


def test_outputs_from_a_cache_come_with_the_run_that_made_them(project: Path) -> None:
    record = (project / "one.run.json").read_bytes()
    (project / "in").write_text("other")
    dvc("repro", "one", root=project)
    (project / "in").write_text("input")
    said = dvc("repro", "one", root=project)
    assert "is cached" in said or "Stage 'one' is cached" in said
    assert (project / "one.run.json").read_bytes() == record
    assert {known.run.stage: known.evidence for known in stage_runs.gather(project).stages}["one"] == "restored"


@pytest.mark.parametrize("edited", ["in", "code/new.py", "params.yaml", "other.yaml", "opaque.toml"])
def test_a_dependency_that_changes_while_the_stage_runs_fails_it(
    project: Path, stage: Callable[..., int], edited: str
) -> None:
    text = {"params.yaml": "size: 2\nnested: {key: 1}\nrate: 1\n", "other.yaml": "a: other\n"}.get(edited, "edited")
    (project / "edit.sh").write_text(f"sh one.sh; printf '{text}' > {edited}")
    (project / "one.run.json").unlink()
    with pytest.raises(Refused, match=f"one: {edited} changed while it ran") as problem:
        stage("one", "sh", "edit.sh")
    assert "dvc repro one" in problem.value.mend and not (project / "one.run.json").exists()


def test_dvc_sees_such_a_stage_fail(project: Path) -> None:
    (project / "one.sh").write_text("mkdir -p out && cp in out/x; printf edited >> code/a.py")
    lock = (project / "dvc.lock").read_bytes()
    said = dvc("repro", "--force", "one", root=project, code=255)
    assert "code/a.py changed while it ran" in said and "to mend it" in said and "Traceback" not in said
    assert (project / "dvc.lock").read_bytes() == lock


def test_what_another_edit_leaves_alone_does_not_matter(project: Path, stage: Callable[..., int]) -> None:
    (project / "edit.sh").write_text(
        "sh one.sh; printf 'size: 1\\nnested: {key: [1, 2.5, null]}\nrate: 1e-5' > params.yaml"
    )
    assert stage("one", "sh", "edit.sh") == 0


def test_a_command_that_fails_leaves_no_record(project: Path, stage: Callable[..., int]) -> None:
    (project / "one.run.json").unlink()
    assert stage("one", "sh", "-c", "exit 7") == 7
    assert stage("one", "sh", "-c", "kill -9 $$") == 128 + signal.SIGKILL
    with pytest.raises(InputError, match="no-such-command does not start"):
        stage("one", "no-such-command")
    with pytest.raises(Refused, match="out is not there"):
        stage("one", "rm", "-r", "out")
    assert not (project / "one.run.json").exists()


def test_what_a_run_with_other_inputs_left_is_no_hidden_input(project: Path, stage: Callable[..., int]) -> None:
    shutil.rmtree(project / ".dvc" / "tmp" / "glasshouse")
    with pytest.raises(Refused, match=r"two: kept may be left from a run with other inputs") as problem:
        stage("two", "sh", "two.sh")
    assert "rm -r kept" in problem.value.mend and (project / "kept/x").exists()
    (project / "kept/old").write_text("hidden")
    assert stage("two", "sh", "two.sh", discard=True) == 0
    assert (project / "figures.json").read_text() == "input" and not (project / "kept/old").exists()
    (project / "kept/part").write_text("half done, ")  # the same inputs: an interrupted run goes on
    assert stage("two", "sh", "two.sh") == 0
    assert "half done, " in (project / "figures.json").read_text()
    (project / "out/x").write_text("other")
    with pytest.raises(Refused, match="other inputs"):
        stage("two", "sh", "two.sh")


def test_a_killed_stage_goes_on_and_ends_in_the_same_record(project: Path) -> None:
    record = (project / "one.run.json").read_bytes()
    environment = os.environ | {"DVC_STAGE": "one", "SLEEP": "60"}
    command = [sys.executable, "-m", "registry", "record", "--", "sh", "one.sh"]
    (project / "one.run.json").unlink()
    shutil.rmtree(project / "out")  # as dvc does
    child = subprocess.Popen(command, cwd=project, env=environment, start_new_session=True)
    deadline = time.monotonic() + 60
    while not any((project / "out").glob("y")) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.terminate()  # handed on to the command
    assert child.wait(60) == 128 + signal.SIGTERM and not (project / "one.run.json").exists()
    subprocess.run(command, cwd=project, env=environment | {"SLEEP": "0"}, check=True)
    assert (project / "one.run.json").read_bytes() == record


def read_two(root: Path) -> bytes:
    return (root / "build/two.run.json").read_bytes()


def locked(root: Path, record: bytes) -> None:
    """Let the first stage have that record, by the lock as well."""
    place = root / "one.run.json"
    old = dvc_lock.file_md5(place)
    place.write_bytes(record)
    lock = root / "dvc.lock"
    lock.write_text(lock.read_text().replace(old, dvc_lock.file_md5(place)))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "out/x").write_text("swapped"), "the stage one: out is not what it wrote"),
        (lambda root: (root / "code/new.py").write_text("more"), "the stage one: code is not what it read"),
        (lambda root: (root / "kept/more").write_text("more"), "the stage two: kept is not what it wrote"),
        (
            lambda root: (root / "params.yaml").write_text("size: 3\nnested: {key: 1}\nrate: 1"),
            "settings are not those",
        ),
        (lambda root: (root / "one.run.json").write_bytes(read_two(root)), "is not the one that dvc.lock names"),
        (lambda root: locked(root, read_two(root)), "another command"),
        (lambda root: (root / "one.run.json").write_text("{}"), "one.run.json"),
        (lambda root: (root / "one.run.json").unlink(), "one.run.json"),
        (lambda root: shutil.rmtree(root / "out"), "is not there"),
    ],
)
def test_a_record_that_is_not_of_the_present_files_is_refused(
    project: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(project)
    with pytest.raises(InputError, match=words) as problem:
        stage_runs.gather(project)
    assert "dvc" in problem.value.mend or "path" in problem.value.mend


def test_a_lock_that_names_more_than_was_recorded_is_refused(project: Path) -> None:
    lock = strict_yaml.read(project / "dvc.lock")
    lock["stages"]["one"]["deps"].append({"path": "two.sh", "hash": "md5", "md5": "0" * 32, "size": 1})
    (project / "dvc.lock").write_text(json.dumps(lock))
    with pytest.raises(Refused, match=r"two.sh is not what it read"):
        stage_runs.gather(project)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("one.run.json", "run.json", r"one output whose name ends in .run.json"),
        ("deps: [code, in]", 'deps: ["${code}"]', "dvc cannot resolve it"),
        ("cmd: " + RECORD + " -- sh one.sh", "cmd: [a, b]", "has 2 commands, and this one is not all of it"),
        ("cmd: " + RECORD + " -- sh one.sh", "cmd: {a: b}", "no command, or one that is not text"),
        (RECORD + " -- sh one.sh", RECORD + " -- sh one.sh && true", "ends `glasshouse record` at '&&'"),
        ("[a]", "3", "params that are not a list"),
        ("[code, in]", "[code\\\\in]", "not allowed"),
        ("[code, in]", "in", "not a list"),
        ("[size, ", "[absent, ", "params.yaml has no absent"),
        ("  one:", "  another:", "is not in the project's dvc.yaml"),
    ],
)
def test_a_stage_that_cannot_be_recorded_is_refused_before_it_runs(
    project: Path, stage: Callable[..., int], old: str, new: str, words: str
) -> None:
    (project / "dvc.yaml").write_text(PIPELINE.replace(old, new, 1))
    with pytest.raises(InputError, match=words) as problem:
        stage("one", "touch", "it-ran")
    assert problem.value.mend and not (project / "it-ran").exists()


def test_outside_dvc_nothing_is_recorded(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    with pytest.raises(InputError, match="no stage is running"):
        recorder.record(project, ["true"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="not in a DVC project"):
        recorder.project()


def test_a_working_directory_and_a_foreach_have_their_paths_from_the_root() -> None:
    plan = dvc_yaml.parse(
        {"stages": {"a": {"cmd": "x", "wdir": "sub", "outs": ["o", "../p"]}, "b": {"foreach": [1], "do": {"cmd": "y"}}}}
    )
    assert plan.stage("a").outs == ("sub/o", "p")
    assert "b@1" in plan and "c" not in plan and plan.place("b@1", "q") == "q"
    with pytest.raises(InputError, match="not allowed"):
        plan.place("a", "../../outside")


LOCK = dvc_lock.Lock({"a": dvc_lock.LockedStage("a", "x", (dvc_lock.Artifact("b", "0" * 32, 1),), ())})


@given(
    VALUES,
    st.sampled_from(["foreach", "matrix", "cmd", "wdir", "deps", "outs", "metrics", "plots", "params", "do", "stages"]),
)
def test_hostile_pipelines_raise_our_error_and_no_other(value: object, key: str) -> None:
    for document in (value, {"stages": value}, {"stages": {"a": value}}, {"stages": {"a": {"cmd": "x", key: value}}}):
        try:
            plan = dvc_yaml.parse(document)
            plan.place("a", "b")
            plan.stage("a")
            list(plan.unlike(plan.placed(LOCK).stages["a"]))
        except InputError as problem:
            assert problem.mend
