"""Outputs that were not made here: `dvc pull` from a real remote, what records then say, and what verification does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry import suffixes
from registry.digest import sha256_bytes
from registry.errors import InputError, Refused
from registry.project import dvc_lock as lock_file
from registry.project import stage_runs
from registry.records.run import directory_digest
from tests.registry.project.small_dvc import RECORD, commit, dvc, git, start
from tests.registry.project.test_recorder_templates import Told

PIPELINE = f"""
stages:
  one:
    cmd: {RECORD} -- sh one.sh
    deps: [one.sh]
    outs: [out, one.run.json]
  two:
    cmd: {RECORD} -- sh two.sh
    deps: [out, two.sh]
    outs: [kept: {{persist: true}}, two.run.json]
"""
FILES = {
    "dvc.yaml": PIPELINE,
    "params.yaml": "seed: 1\n",
    "one.sh": "mkdir -p out && echo weights > out/x && echo more > out/y",
    "two.sh": "mkdir -p kept && cat out/x > kept/x",
}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that somebody ran and pushed: its outputs to a remote beside it, the rest to git. Not to be changed."""
    root = tmp_path_factory.mktemp("restored") / "origin"
    start(root, FILES)
    dvc("remote", "add", "--default", "shared", str(root.parent / "remote"), root=root)
    dvc("repro", root=root)
    dvc("push", root=root)
    commit(root)
    return root


def clone(origin: Path, root: Path) -> Path:
    """A fresh clone, whose remote is a copy, and which has pulled nothing yet."""
    git("clone", "--quiet", str(origin), str(root), root=origin)
    shutil.copytree(origin.parent / "remote", root.parent / "remote")
    dvc("remote", "modify", "--local", "shared", "url", str(root.parent / "remote"), root=root)
    return root


def replace(root: Path, md5: str, data: bytes) -> None:
    """Let the clone's remote give `data` for what DVC calls `md5`."""
    path = root.parent / "remote" / "files" / "md5" / md5[:2] / md5[2:]
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)  # which DVC takes for its own doing, and does not look again


def digests(weights: bytes) -> tuple[bytes, bytes]:
    """What a record says of `out`, if that is in out/x."""
    files = {"x": sha256_bytes(weights), "y": sha256_bytes(b"more\n")}
    return files["x"].encode(), directory_digest(files).encode()


def evidence(root: Path) -> dict[str, str]:
    return {known.run.stage: known.evidence for known in stage_runs.gather(root).stages}


def test_what_came_by_dvc_pull_is_restored_and_verifies_as_that(origin: Path, tmp_path: Path) -> None:
    root = clone(origin, tmp_path / "clone")
    with pytest.raises(InputError) as problem:
        stage_runs.gather(root)
    assert "one.run.json" in problem.value.message and "dvc pull" in problem.value.mend
    dvc("config", "--local", "cache.type", "symlink", root=root)  # the outputs are links into the cache
    dvc("pull", root=root)
    assert (root / "one.run.json").is_symlink()
    assert evidence(origin) == {"one": "ran", "two": "ran"}
    assert evidence(root) == {"one": "restored", "two": "restored"}
    assert [known.run for known in stage_runs.gather(root).stages] == [
        known.run for known in stage_runs.gather(origin).stages
    ]
    answers = Told(root, tmp_path / "release").answers()
    assert all(said.startswith("PASS not run there: taken from a cache or a remote") for said in answers.values())
    assert "1 by other stages" in answers["two"]


def test_what_runs_after_a_pull_ran_and_the_rest_stays_restored(origin: Path, tmp_path: Path) -> None:
    root = clone(origin, tmp_path / "clone")
    dvc("pull", root=root)
    assert "didn't change" in dvc("repro", root=root) and evidence(root) == {"one": "restored", "two": "restored"}
    said = dvc("repro", "--force", "--single-item", "two", root=root, code=255)
    assert "kept may be left from a run with other inputs" in said  # nobody here saw what left it
    shutil.rmtree(root / "kept")
    dvc("repro", "--force", "--single-item", "two", root=root)
    assert evidence(root) == {"one": "restored", "two": "ran"}
    dvc("checkout", "--force", root=root)
    assert evidence(root) == {"one": "restored", "two": "ran"}  # by the run that was here, byte for byte


def test_a_checkout_of_another_commit_is_not_the_run_that_was_here(origin: Path, tmp_path: Path) -> None:
    root = clone(origin, tmp_path / "clone")
    (root / "one.sh").write_text(FILES["one.sh"] + "; echo changed > out/x")
    dvc("repro", root=root)
    commit(root)
    assert evidence(root) == {"one": "ran", "two": "ran"}
    git("checkout", "--quiet", "HEAD~1", root=root)
    dvc("pull", "--force", root=root)
    assert evidence(root) == {"one": "restored", "two": "restored"}
    git("checkout", "--quiet", "-", root=root)
    dvc("checkout", "--force", root=root)
    assert evidence(root) == {"one": "ran", "two": "ran"}


@pytest.mark.parametrize("data", [b"wei", b"forgery\n"])
def test_what_nobody_measured_is_held_to_the_lock(data: bytes, tmp_path: Path) -> None:
    """DVC takes the word of a remote; a stage without a record is at least as its lock says, by an MD5 of our own."""
    origin = tmp_path / "of" / "origin"
    plain = PIPELINE.replace(f"{RECORD} -- ", "").replace(", one.run.json", "").replace(", two.run.json", "")
    start(origin, {**FILES, "dvc.yaml": plain})
    dvc("remote", "add", "--default", "shared", str(origin.parent / "remote"), root=origin)
    dvc("repro", root=origin)
    dvc("push", root=origin)
    commit(origin)
    root = clone(origin, tmp_path / "clone")
    replace(root, lock_file.file_md5(origin / "out/x"), data)
    dvc("pull", root=root)
    assert evidence(origin) == {"one": "unrecorded", "two": "unrecorded"} and "up to date" in dvc("status", root=root)
    with pytest.raises(Refused, match=r"one: out is not what it wrote by dvc\.lock; a cache or a remote"):
        stage_runs.gather(root)


@pytest.mark.parametrize("with_record", [False, True])
def test_a_remote_that_gives_other_bytes_is_found_out(origin: Path, tmp_path: Path, with_record: bool) -> None:
    """DVC takes its word, and says that all is up to date. The record is held to the lock, outputs to the record."""
    root = clone(origin, tmp_path / "clone")
    lock = lock_file.read_lock(root / "dvc.lock")
    weights, forged = (origin / "out/x").read_bytes(), b"forgery\n"
    replace(root, lock_file.file_md5(origin / "out/x"), forged)
    if with_record:
        record = (origin / "one.run.json").read_bytes()
        for old, new in zip(digests(weights), digests(forged), strict=True):
            assert old in record
            record = record.replace(old, new)
        (name,) = [out.md5 for out in lock.stages["one"].outs if out.path.endswith(suffixes.RUN)]
        replace(root, name, record)
    dvc("pull", root=root)
    assert (root / "out/x").read_bytes() == forged and "up to date" in dvc("status", root=root)
    words = "one.run.json, is not the one that dvc.lock names" if with_record else "one: out is not what it wrote"
    with pytest.raises(Refused, match=words):
        stage_runs.gather(root)
