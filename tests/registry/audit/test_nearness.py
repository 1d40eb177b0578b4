"""What is within a declared tolerance is what numpy.allclose calls so, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import save_file

from registry.audit import nearness

Array = np.ndarray[Any, np.dtype[Any]]


def apart(folder: Path, signed: Array, found: Array, rtol: float, atol: float) -> float | None:
    save_file({"a": signed}, folder / "signed.safetensors")
    save_file({"a": found}, folder / "found.safetensors")
    return nearness.arrays(folder / "signed.safetensors", folder / "found.safetensors", rtol, atol)


numbers = st.floats(-1e3, 1e3, width=32)
pairs = st.integers(1, 5).flatmap(
    lambda size: st.tuples(
        arrays_of.arrays("f8", size, elements=numbers), arrays_of.arrays("f8", size, elements=st.floats(-0.1, 0.1))
    )
)


@given(pairs, st.sampled_from([0.0, 1e-3, 0.5]), st.sampled_from([0.0, 1e-3, 0.05]))
def test_it_is_numpy_s_own_rule(
    tmp_path_factory: pytest.TempPathFactory, pair: tuple[Array, Array], rtol: float, atol: float
) -> None:
    signed, other = pair
    found = apart(tmp_path_factory.mktemp("near"), signed, signed + other, rtol, atol)
    near = np.abs(other_of := (signed + other) - signed) <= atol + rtol * np.abs(signed)
    assert (found is not None) == bool(near.all()), other_of
    assert found is None or 0 <= found <= 2


@pytest.mark.parametrize(
    "found",
    [
        np.array([1, np.nan], "f4"), np.array([1, np.inf], "f4"), np.array([1, 2], "f8"), np.array([[1, 2]], "f4"),
        np.array([1, 2, 3], "f4"), np.array([1, 2], "i4"),
    ],
)  # fmt: skip
def test_other_shapes_types_and_what_is_not_finite_are_never_near(tmp_path: Path, found: Array) -> None:
    assert apart(tmp_path, np.array([1, 2], "f4"), found, 1e9, 1e9) is None


def test_whole_numbers_are_the_same_or_they_are_not(tmp_path: Path) -> None:
    assert apart(tmp_path, np.array([1, 2]), np.array([1, 2]), 1, 1) == 0.0
    assert apart(tmp_path, np.array([1, 2]), np.array([1, 3]), 1, 1) is None


def test_what_is_apart_is_told_where_the_signed_is_nothing(tmp_path: Path) -> None:
    assert apart(tmp_path, np.zeros(2), np.array([0, 1e-9]), 0, 1e-8) == 1.0


def test_bytes_that_are_no_arrays_are_never_near(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert nearness.arrays(tmp_path / "a", tmp_path / "a", 1, 1) is None
    assert nearness.figures(tmp_path / "a", tmp_path / "a", 1, 1) is None


@pytest.mark.parametrize(
    ("signed", "found", "far"),
    [
        ({"a": {"b": [100, "x", None, True]}}, {"a": {"b": [101, "x", None, True]}}, 1 / 101),
        ({"a": 1}, {"a": 1.5}, None),
        ({"a": 1}, {"b": 1}, None),
        ({"a": "1"}, {"a": "2"}, None),
        ({"a": 1}, {"a": True}, None),
        ([1, 2], [1], None),
        ({}, {}, 0.0),
    ],
)
def test_figures_are_near_where_all_else_is_the_same(
    tmp_path: Path, signed: object, found: object, far: float | None
) -> None:
    for name, value in (("signed", signed), ("found", found)):
        (tmp_path / name).write_text(json.dumps(value))
    assert nearness.figures(tmp_path / "signed", tmp_path / "found", 0.02, 0) == far


@pytest.mark.parametrize(
    ("ending", "signed", "found", "far"),
    [
        (".yaml", "test: {accuracy: 100, of: x}\n", "test:\n  accuracy: 101\n  of: x\n", 1 / 101),
        (".toml", "[test]\naccuracy = 100\n", "test = {accuracy = 101}  # more\n", 1 / 101),
        (".yaml", "accuracy: 100\n", "accuracy: .nan\n", None),
        (".toml", "accuracy = nan\n", "accuracy = nan\n", None),
        (".toml", "on = 2026-01-01\n", "on = 2026-01-02\n", None),
        (".toml", "a = 1\n", f"a = {'[' * 100_000}", None),
        (".yml", "a: 1\n", "a: [", None),
    ],
)
def test_figures_are_read_as_their_ending_says(
    tmp_path: Path, ending: str, signed: str, found: str, far: float | None
) -> None:
    paths = [tmp_path / f"{name}{ending}" for name in ("signed", "found")]
    for path, text in zip(paths, (signed, found), strict=True):
        path.write_text(text)
    assert nearness.figures(paths[0], paths[1], 0.02, 0) == far
