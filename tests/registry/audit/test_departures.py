"""The first entry of a chain, and the first stage, at which a rebuild departs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry.audit.departures import first_checkpoint, first_stage
from registry.digest import sha256_bytes
from registry.project import dvc_lock
from registry.records.checkpoint_chain import Chain, FileDigests, ProfileName
from registry.records.run import Measured, Run, directory_digest


def chain(marks: str) -> Chain:
    """A chain whose entries differ by their letters."""
    made = Chain(tokens="1" * 64, recipe="2" * 64, profile=ProfileName(name="portable", digest="3" * 64), entries=())
    for step, mark in enumerate(marks):
        digests = FileDigests(file=f"{ord(mark):064x}", tensors=f"{step:032x}{ord(mark):032x}")
        made = made.extended(step=step, weights=digests, optimizer=digests, end=step, loss=1.0 if step else None)
    return made


@given(st.text("ab", min_size=1, max_size=12), st.text("ab", min_size=1, max_size=12))
def test_bisection_finds_the_first_entry_that_departs(signed: str, made: str) -> None:
    expected = next((i for i, (a, b) in enumerate(zip(signed, made, strict=False)) if a != b), None)
    if expected is None and len(signed) != len(made):
        expected = min(len(signed), len(made))
    assert first_checkpoint(chain(signed), chain(made)) == expected


def lock(**outs: str) -> dvc_lock.Lock:
    reads = {"corpus": "", "train": "corpus", "export": "train"}
    return dvc_lock.parse_lock(
        {
            "schema": "2.0",
            "stages": {
                name: {
                    "cmd": "x",
                    "deps": [{"path": reads[name], "md5": "0", "size": 1}] if reads[name] else [],
                    "outs": [
                        {"path": name, "md5": outs.get(name, "same"), "size": 1},
                        {"path": f"{name}/environment.json", "md5": outs.get(f"{name}_machine", "same"), "size": 1},
                    ],
                }
                for name in ("export", "train", "corpus")
            },
        }
    )


def run(name: str, **files: str) -> Run:
    """The record of a run of `name`, whose output is a directory."""
    listed = {path.replace("_", "."): sha256_bytes(text.encode()) for path, text in files.items()}
    out = Measured(path=name, sha256=directory_digest(listed), files=listed)
    return Run(stage=name, command="x", params={}, deps=(), outs=(out,))


def test_the_first_stage_that_departs_comes_before_those_that_read_it() -> None:
    assert first_stage(lock(), lock(), {}) is None
    assert first_stage(lock(), lock(train_machine="other"), {}) is None
    assert first_stage(lock(), lock(export="other"), {}) == "export: export"
    assert first_stage(lock(), lock(export="other", train="other"), {}) == "train: train"
    assert first_stage(lock(), lock(export="other", train="other", corpus="other"), {}) == "corpus: corpus"


def test_records_of_runs_tell_by_sha256_and_name_the_file() -> None:
    same, other = run("train", a="1", b="2", environment_json="A"), run("train", a="1", b="3", environment_json="B")
    assert first_stage(lock(), lock(), {"train": (same, other)}) == "train: train/b"
    elsewhere = run("train", a="1", b="2", environment_json="B")  # all that differs is the machine
    assert first_stage(lock(), lock(train="other"), {"train": (same, elsewhere)}) is None
    assert first_stage(lock(), lock(corpus="other"), {"train": (same, other)}) == "corpus: corpus"


def test_stages_that_read_in_a_circle_are_no_exception() -> None:
    rows = [{"path": path, "md5": "0", "size": 1} for path in ("a", "b")]
    circle = dvc_lock.parse_lock(
        {
            "schema": "2.0",
            "stages": {
                "one": {"cmd": "x", "deps": rows[1:], "outs": rows[:1]},
                "two": {"cmd": "x", "deps": rows[:1], "outs": rows[1:]},
            },
        }
    )
    assert first_stage(circle, circle, {}) is None
