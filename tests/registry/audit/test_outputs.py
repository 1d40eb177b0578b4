"""What was rebuilt against what was released: the weakest file decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from registry import canonical
from registry.audit import outputs
from registry.records import layout
from tests.registry.audit.test_departures import chain


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
    found = outputs.compared(pair[0], outputs.of_draft(*pair), tolerance)
    return outputs.overall(found), {o.path: f"{o.verdict} {o.reason}".strip() for o in found if o.counted}


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
    assert outputs.overall(()) == "DIFFERENT"


def test_hostile_records_are_different_not_an_exception(pair: tuple[Path, Path]) -> None:
    save_file({"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(4, "f4")}, pair[1] / "model.safetensors",
              metadata={"x": "y"})  # fmt: skip
    for data in (b"", b"[]", b'{"metrics":[]}', b'{"metrics":{"bitsPerByte":"2.5"}}', b"\xff", canonical.dumps([[]])):
        (pair[1] / layout.EVALUATION).write_bytes(data)
        assert verdicts(pair)[1][layout.EVALUATION].startswith("DIFFERENT")
