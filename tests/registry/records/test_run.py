"""registry.records.run: what a run says, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import sha256_bytes
from registry.errors import InputError
from registry.records.run import EMPTY, Measured, Run, StageRun, Stages, TrackedBy, directory_digest
from tests.registry.attest.test_statement import VALUES

SHA = sha256_bytes(b"x")
PATHS = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}){0,2}", fullmatch=True)
DIGESTS = st.binary(max_size=4).map(sha256_bytes)


@st.composite
def measured(draw: st.DrawFn) -> Measured:
    """A file; a directory with its files; or one that has too many."""
    path = draw(PATHS)
    files = draw(st.none() | st.dictionaries(PATHS, DIGESTS, max_size=3))
    return Measured(path=path, sha256=directory_digest(files) if files else draw(DIGESTS), files=files)


def several(kind: st.SearchStrategy[Measured]) -> st.SearchStrategy[tuple[Measured, ...]]:
    """None of them the same, nor inside another."""
    return st.lists(kind, max_size=4, unique_by=lambda item: item.path.split("/")[0]).map(tuple)


RUNS = st.builds(
    Run,
    stage=st.from_regex(r"[a-z_][a-z0-9@_.-]{0,9}", fullmatch=True),
    command=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()),
    params=st.dictionaries(PATHS, st.dictionaries(st.text(max_size=5), VALUES, max_size=2), max_size=2),
    deps=several(measured()),
    outs=several(measured()).filter(bool),
)


@st.composite
def known(draw: st.DrawFn) -> StageRun:
    """A run, however it came about, some of its dependencies in git."""
    run = draw(RUNS)
    committed = tuple(sorted(dep.path for dep in run.deps if draw(st.booleans())))
    url, revision = draw(st.none() | st.just("https://e.org/x")), draw(st.none() | st.text(max_size=5))
    rows = [
        TrackedBy(path=dep.path, file=f"{dep.path}.dvc", md5="0" * 32, url=url, revision=revision)
        for dep in run.deps
        if draw(st.booleans())
    ]
    return StageRun(
        evidence=draw(st.sampled_from(["ran", "restored", "unrecorded"])),
        committed=committed,
        tracked=tuple(sorted(rows, key=lambda row: row.path)),
        run=run,
    )


KNOWN = known()


@given(RUNS)
def test_a_run_survives_being_written(run: Run) -> None:
    again = Run.from_bytes(run.to_bytes(), name="run")
    assert again == run and again.digest == run.digest


@given(st.dictionaries(PATHS, DIGESTS, min_size=1), PATHS, DIGESTS)
def test_a_directory_s_digest_binds_every_path_and_every_file(files: dict[str, str], path: str, sha256: str) -> None:
    changed = {**files, path: sha256}
    assert (directory_digest(changed) == directory_digest(files)) == (changed == files)
    assert directory_digest(dict(reversed(files.items()))) == directory_digest(files)


def test_the_empty_directory_is_listed_and_one_with_too_many_files_is_not() -> None:
    assert directory_digest({}) == EMPTY and Measured(path="a", sha256=EMPTY, files={}).listed
    assert not Measured(path="a", sha256=SHA, files={}).listed


@pytest.mark.parametrize(
    "change",
    [
        {"deps": [{"path": "../outside", "sha256": SHA, "files": None}]},
        {"deps": [{"path": "/etc/passwd", "sha256": SHA, "files": None}]},
        {"outs": [{"path": "a", "sha256": SHA, "files": {"b": SHA}}]},
        {"outs": [{"path": "a", "sha256": SHA, "files": None}] * 2},
        {"stage": "../a"},
        {"extra": 1},
        {"schema": "glasshouse.run/v2"},
    ],
)
def test_what_is_no_run_is_refused(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "schema": "glasshouse.run/v1", "stage": "a", "command": "b", "params": {}, "deps": [], "outs": [],
    }  # fmt: skip
    Run.from_json(good, name="run")
    with pytest.raises(InputError, match="run: "):
        Run.from_json(good | change, name="run")


@given(VALUES, st.sampled_from(["stages", "schema", "evidence", "run", "deps", "outs", "files", "params"]))
def test_hostile_records_raise_our_error_and_no_other(value: Any, key: str) -> None:
    for document in (
        value,
        {key: value},
        {"schema": "glasshouse.stages/v1", "stages": [{"evidence": "ran", "run": value}]},
    ):
        for kind in (Run, Stages):
            try:
                kind.from_json(document, name="it")
            except InputError as problem:
                assert problem.mend


def test_a_file_of_the_commit_may_lie_in_a_directory_whose_files_are_not_listed() -> None:
    files = {"in": "1" * 64}
    dep = Measured(path="mixed", sha256=directory_digest(files), files={})
    run = Run(stage="train", command="x", params={}, deps=(dep,), outs=())
    assert StageRun(evidence="ran", committed=("mixed/in",), run=run).committed_inside("mixed") == ("mixed/in",)
    for known in (dep, dep.model_copy(update={"files": files})):
        with pytest.raises(ValueError, match="not a dependency"):
            StageRun(evidence="ran", committed=("other/in",), run=run.model_copy(update={"deps": (known,)}))
