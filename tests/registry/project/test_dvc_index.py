"""registry.project.dvc_index: what DVC says of a whole project, whoever asks from wherever."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import InputError
from registry.project import dvc_index
from tests.registry.project.small_dvc import commit, dvc, start

FILES = {
    "dvc.yaml": "stages: {one: {cmd: cp in out, deps: [in], outs: [out]}, cold: {cmd: cp in c, deps: [in], outs: [c]}}",
    "below/dvc.yaml": "stages: {one: {cmd: cp ../out out, deps: [../out], outs: [out]}}",
    "in": "hello",
    "data": "rows",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is built, with data that were added and a stage that is frozen."""
    root = tmp_path_factory.mktemp("index") / "project"
    start(root, FILES)
    dvc("add", "data", root=root)
    dvc("repro", "--all-pipelines", root=root)
    dvc("freeze", "cold", root=root)
    commit(root)
    return root


@pytest.mark.parametrize("here", [".", "below", ".."])
def test_what_is_out_of_date_has_its_address_wherever_one_stands(
    made: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], here: str
) -> None:
    """DVC itself names stages by where it is run. It says nothing on the way: not of the frozen stage, either."""
    monkeypatch.chdir(made / here)
    assert dvc_index.stale(made) == ()
    for path, told in (("in", ("one",)), ("out", ("below/dvc.yaml:one", "one")), ("data", ("data.dvc",))):
        before = (made / path).read_bytes()
        (made / path).unlink()  # it may be a link into the cache
        (made / path).write_text("other")
        assert dvc_index.stale(made) == told
        (made / path).write_bytes(before)
    assert capfd.readouterr() == ("", "")


def test_a_project_that_dvc_does_not_read_is_refused_with_its_words(tmp_path: Path) -> None:
    start(tmp_path, {"dvc.yaml": "stages: {one: {cmd: [], outs: out}}"})
    with pytest.raises(InputError, match=r"dvc cannot tell what is out of date: .*dvc\.yaml") as problem:
        dvc_index.stale(tmp_path)
    assert problem.value.mend == "mend it as `dvc status` says"
