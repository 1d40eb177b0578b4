"""What was rebuilt against what was released: the weakest file decides, and the first departure is named."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from registry import canonical
from registry.audit import compare
from registry.audit.rebuild import first_checkpoint, first_stage
from registry.digest import sha256_bytes
from registry.project import dvc_lock
from registry.records import layout
from registry.records.checkpoint_chain import Chain, FileDigests, ProfileName
from registry.records.run import Measured, Run, directory_digest


def chain(marks: str) -> Chain:
    """A chain whose entries differ by their letters."""
    made = Chain(tokens="1" * 64, recipe="2" * 64, profile=ProfileName(name="portable", digest="3" * 64), entries=())
    for step, mark in enumerate(marks):
        digests = FileDigests(file=f"{ord(mark):064x}", tensors=f"{step:032x}{ord(mark):032x}")
        made = made.extended(step=step, weights=digests, optimizer=digests, end=step, loss=1.0 if step else None)
    return made


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A release and its draft, with the same outputs."""
    weights = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(4, "f4")}
    for name in ("release", "draft"):
        root = tmp_path / name
        (root / "provenance").mkdir(parents=True)
        save_file(weights, root / "model.safetensors")
        for path, data in {
            "config.json": b"{}",
            layout.CARD: name.encode(),
            layout.ENVIRONMENT: name.encode(),
            layout.CHECKPOINTS: chain("aaa").to_bytes(),
            layout.EVALUATION: b'{"metrics":{"bitsPerByte":2.5}}',
            layout.METRICS: b'{"step":1,"loss":3.5,"gradientNorm":1}\n',
            layout.CURVE: b"picture",
        }.items():
            (root / path).write_bytes(data)
    return tmp_path / "release", tmp_path / "draft"


def verdicts(pair: tuple[Path, Path], tolerance: float = 0.0) -> tuple[str, dict[str, str]]:
    found = compare.outputs(*pair, tolerance)
    return compare.overall(found), {o.path: f"{o.verdict} {o.reason}".strip() for o in found if o.counted}


def test_the_same_bytes_are_bitwise_whatever_the_machine(pair: tuple[Path, Path]) -> None:
    whole, found = verdicts(pair)
    assert whole == "BITWISE" and layout.ENVIRONMENT not in found and layout.CARD not in found and len(found) == 6


def test_another_layout_of_the_same_tensors(pair: tuple[Path, Path]) -> None:
    weights = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(4, "f4")}
    save_file(weights, pair[1] / "model.safetensors", metadata={"written": "otherwise"})
    whole, found = verdicts(pair)
    assert whole == "TENSORS" and found["model.safetensors"].startswith("TENSORS")


@pytest.mark.parametrize(("tolerance", "expected"), [(1e-3, "WITHIN"), (1e-6, "DIFFERENT"), (0.0, "DIFFERENT")])
def test_near_weights_are_within_a_tolerance_or_different(
    pair: tuple[Path, Path], tolerance: float, expected: str
) -> None:
    weights = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(4, "f4") + np.float32(1e-4)}
    save_file(weights, pair[1] / "model.safetensors")
    (pair[1] / layout.EVALUATION).write_bytes(b'{"metrics":{"bitsPerByte":2.5001}}')
    (pair[1] / layout.METRICS).write_bytes(b'{"step":1,"loss":3.5001,"gradientNorm":1}\n')
    (pair[1] / layout.CHECKPOINTS).write_bytes(chain("aab").to_bytes())
    (pair[1] / layout.CURVE).write_bytes(b"another picture")
    whole, found = verdicts(pair, tolerance)
    assert whole == expected
    assert "the first tensor that differs is b; the farthest is b, by 0.0001" in found["model.safetensors"]


def test_near_weights_do_not_excuse_far_figures(pair: tuple[Path, Path]) -> None:
    save_file({"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(4, "f4") * np.float32(1.0001)},
              pair[1] / "model.safetensors")  # fmt: skip
    (pair[1] / layout.EVALUATION).write_bytes(b'{"metrics":{"bitsPerByte":2.0}}')
    whole, found = verdicts(pair, 1e-3)
    assert whole == "DIFFERENT" and found[layout.EVALUATION].startswith("DIFFERENT its figures are apart by 0.2")


@pytest.mark.parametrize("where", ["release", "draft"])
def test_a_file_on_one_side_only_is_different(pair: tuple[Path, Path], where: str) -> None:
    (pair[0 if where == "release" else 1] / "tokenizer.json").write_text("{}")
    whole, found = verdicts(pair)
    assert whole == "DIFFERENT" and found["tokenizer.json"].startswith("DIFFERENT it ")


def test_other_data_are_different_even_with_the_same_weights(pair: tuple[Path, Path]) -> None:
    (pair[1] / "config.json").write_text("{ }")
    assert verdicts(pair)[0] == "DIFFERENT"


@pytest.mark.parametrize(
    "weights",
    [
        {"a": np.full((2, 3), np.nan, "f4"), "b": np.ones(4, "f4")},
        {"a": np.ones((3, 2), "f4"), "b": np.ones(4, "f4")},
        {"a": np.ones((2, 3), "f4")},
    ],
)
def test_weights_that_cannot_be_near_are_different(
    pair: tuple[Path, Path], weights: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
) -> None:
    save_file(weights, pair[1] / "model.safetensors")
    assert verdicts(pair, 1e9)[0] == "DIFFERENT"


def test_nothing_at_all_is_different() -> None:
    assert compare.overall(()) == "DIFFERENT"


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
FIGURES = st.dictionaries(st.text(max_size=3), NUMBERS | st.booleans() | st.text(max_size=3) | st.none(), max_size=4)


@given(FIGURES, FIGURES)
def test_how_far_apart_two_records_are(one: dict[str, object], other: dict[str, object]) -> None:
    assert compare.apart(one, one) == 0
    assert compare.apart(one, other) == compare.apart(other, one)
    assert compare.apart(one, other) >= 0
    assert compare.apart(one, None) == math.inf


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


def test_hostile_records_are_different_not_an_exception(pair: tuple[Path, Path]) -> None:
    save_file({"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(4, "f4")}, pair[1] / "model.safetensors",
              metadata={"x": "y"})  # fmt: skip
    for data in (b"", b"[]", b'{"metrics":[]}', b'{"metrics":{"bitsPerByte":"2.5"}}', b"\xff", canonical.dumps([[]])):
        (pair[1] / layout.EVALUATION).write_bytes(data)
        assert verdicts(pair)[1][layout.EVALUATION].startswith("DIFFERENT")
