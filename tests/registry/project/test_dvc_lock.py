"""registry.project.dvc_lock, against locks that the real dvc wrote."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import strict_yaml
from registry.errors import InputError
from registry.project import dvc_lock

PIPELINE = """
stages:
  one:
    cmd: mkdir out && cp in out/x && cp in out/é
    deps: [in]
    outs: [out]
  two:
    cmd: cat out/x > last
    deps: [out]
    outs: [last]
    params: [size]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dvc")
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "params.yaml").write_text("size: 3")
    (root / "in").write_text("hello")
    command = str(Path(sys.executable).parent / "dvc")
    for words in (("init", "--quiet", "--no-scm"), ("repro", "--quiet")):
        subprocess.run([command, *words], cwd=root, check=True, capture_output=True)
    return root


@pytest.fixture(autouse=True)
def dvc_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def test_a_real_lock_is_read_and_has_no_gaps(project: Path) -> None:
    lock = dvc_lock.read_lock(project / "dvc.lock")
    assert list(lock.stages) == ["one", "two"]
    assert lock.stages["two"].params == {"params.yaml": {"size": 3}}
    assert lock.outs()["last"] == dvc_lock.Artifact("last", dvc_lock.file_md5(project / "in"), 5)
    assert list(lock.gaps()) == []


def test_a_directorys_key_is_dvcs_own(project: Path) -> None:
    files = {path.name: path for path in (project / "out").iterdir()}
    assert dvc_lock.read_lock(project / "dvc.lock").outs()["out"].md5 == dvc_lock.directory_md5(files)


def test_a_stage_that_read_other_bytes_is_a_gap(project: Path) -> None:
    document = strict_yaml.read(project / "dvc.lock")
    document["stages"]["two"]["deps"][0]["md5"] = "0" * 32
    assert ["two read out" in gap for gap in dvc_lock.parse_lock(document).gaps()] == [True]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(st.sampled_from(["schema", "stages", "cmd", "deps", "outs", "path", "md5", "params"]), x)
        ),
    )
)
def test_hostile_locks_raise_our_error_and_no_other(value: object) -> None:
    for document in (value, {"schema": "2.0", "stages": {"a": value}}):
        try:
            dvc_lock.parse_lock(document)
        except InputError as error:
            assert error.mend
