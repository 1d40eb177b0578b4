"""registry.lint.descent: whether two rows of numbers are nearly one."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from registry.hub.transfer import RemoteFile
from registry.lint.descent import correlation, unlike
from registry.lint.series import Revision
from registry.tensors import numbers

PATH = "model.safetensors"
DRAW = np.random.default_rng(0)
FIRST, OTHER = (DRAW.normal(0, 0.02, (64, 64)) for _ in range(2))


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=30))
def test_any_rows_have_a_correlation_or_none(rows: list[tuple[float, float]]) -> None:
    found = correlation([a for a, _ in rows], [b for _, b in rows])
    assert found is None or math.isfinite(found)


def test_it_is_numpy_s() -> None:
    one, other = list(FIRST.ravel()), list((FIRST + OTHER).ravel())
    assert correlation(one, other) == pytest.approx(np.corrcoef(one, other)[0, 1])
    assert correlation([1e308] * 9, [1.0] * 9) is None and correlation([1.0], [2.0, 3.0]) is None


def test_numbers_of_bf16_are_the_upper_halves() -> None:
    rows = FIRST.astype(np.float32)
    data = (rows.view(np.uint32) >> 16).astype("<u2").tobytes()
    assert np.allclose(numbers("BF16", data), rows.ravel(), rtol=0.01)


def _steps(*weights: bytes) -> Mapping[tuple[str, str], float]:
    files = dict(enumerate(weights))
    trees = {n: {PATH: RemoteFile(PATH, len(data), None, "0" * 40)} for n, data in files.items()}
    steps = [Revision(f"step{n}", "c" * 40, tree, "", n) for n, tree in trees.items()]
    return unlike(steps, lambda step, path: io.BytesIO(files[step.step]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_step_1_of_another_beginning_is_told_in_each_type(dtype: type) -> None:
    first, near, far = (
        bytes(save({"w": rows.astype(dtype), "mask": np.ones((64, 64), dtype=dtype)}))
        for rows in (FIRST, FIRST + OTHER / 100, OTHER)
    )
    assert _steps(first, near) == {}
    assert abs(_steps(first, far)["step0", "step1"]) < 0.1
    assert _steps(first, b"text") == _steps(first) == {}
