"""Figures that came out are held to those that were signed: none is let pass that differs by more than is stated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.audit.evaluation_verdict import EvaluationDetails
from registry.audit.remeasured import compared
from registry.records import layout
from registry.records.evaluation import Baseline, Baselines, Evaluation, Metrics, Sample, Validation
from registry.records.harness import HarnessSettings
from tests import harness_tasks

EVALUATION = Evaluation(
    weights="a" * 64,
    tokens="b" * 64,
    validation=Validation(documents=10, size=70, tokens=80),
    metrics=Metrics(bits_per_byte=2.5, perplexity=11.0, next_token_accuracy=0.25),
    baselines=Baselines(uniform=Baseline(bits_per_byte=8.0), unigram=Baseline(bits_per_byte=5.0)),
    sample=Sample(prompt="glass", text=" house"),
)
HARNESS = harness_tasks.record()


def judged(folder: Path, path: str, signed: bytes, found: bytes | None, tolerance: float = 0.0) -> Any:
    """The verdict on two files."""
    places = folder / "signed", folder / "found"
    places[0].write_bytes(signed)
    places[1].unlink(missing_ok=True)
    if found is not None:
        places[1].write_bytes(found)
    return compared(path, *places, tolerance)


def changed(record: Any, *place: str | int, value: object) -> bytes:
    """The bytes of the record with another value at that place."""
    said = record.as_json()
    at = said
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return canonical.dumps(said)


def test_the_same_bytes_are_bitwise_with_every_figure_told(tmp_path: Path) -> None:
    found = judged(tmp_path, layout.EVALUATION, EVALUATION.to_bytes(), EVALUATION.to_bytes())
    assert (found.verdict, found.reason) == ("BITWISE", "")
    assert {figure.name: figure.signed for figure in found.figures}["bitsPerByte"] == 2.5
    found = judged(tmp_path, layout.HARNESS, HARNESS.to_bytes(), HARNESS.to_bytes())
    assert found.verdict == "BITWISE"
    assert [figure.name for figure in found.figures] == ["harness:colours.acc", "standard error of colours.acc,none"]


def test_nothing_that_came_out_is_different(tmp_path: Path) -> None:
    for data in (None, b"{}", b"\xff"):
        assert judged(tmp_path, layout.EVALUATION, EVALUATION.to_bytes(), data, 1.0).verdict == "DIFFERENT"
        assert judged(tmp_path, f"{layout.FIGURES}/m.json", b'{"a": 1}', data, 1.0).verdict == "DIFFERENT"


@pytest.mark.parametrize("place", [("metrics", "bitsPerByte"), ("baselines", "unigram", "bitsPerByte")])
def test_a_figure_is_within_the_tolerance_or_different(tmp_path: Path, place: tuple[str, ...]) -> None:
    value = {"metrics": 2.525, "baselines": 5.05}[place[0]]
    other = changed(EVALUATION, *place, value=value)
    for tolerance, verdict in ((0.0, "DIFFERENT"), (0.005, "DIFFERENT"), (0.02, "WITHIN")):
        assert judged(tmp_path, layout.EVALUATION, EVALUATION.to_bytes(), other, tolerance).verdict == verdict


@pytest.mark.parametrize(
    ("place", "value"),
    [(("weights",), "c" * 64), (("tokens",), "c" * 64), (("validation", "documents"), 9)],
)
def test_another_evaluation_is_different_whatever_the_tolerance(
    tmp_path: Path, place: tuple[str, ...], value: object
) -> None:
    found = judged(tmp_path, layout.EVALUATION, EVALUATION.to_bytes(), changed(EVALUATION, *place, value=value), 1.0)
    assert found.verdict == "DIFFERENT" and place[0] in found.reason


def test_another_text_differs_only_where_no_tolerance_is_stated(tmp_path: Path) -> None:
    other = changed(EVALUATION, "sample", "text", value=" other")
    assert judged(tmp_path, layout.EVALUATION, EVALUATION.to_bytes(), other).verdict == "DIFFERENT"
    assert judged(tmp_path, layout.EVALUATION, EVALUATION.to_bytes(), other, 1e-9).verdict == "WITHIN"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("tasks", 0, "config"), "0" * 64),
        (("tasks", 0, "hash"), "0" * 64),
        (("tasks", 0, "files"), {}),
        (("tasks", 0, "documents"), 11),
        (("settings", "limit"), 5),
        (("weights",), "0" * 64),
    ],
)
def test_a_task_that_is_not_the_same_is_different(tmp_path: Path, place: tuple[str | int, ...], value: object) -> None:
    other = changed(HARNESS, *place, value=value)
    assert judged(tmp_path, layout.HARNESS, HARNESS.to_bytes(), other, 1.0).verdict == "DIFFERENT"


def test_a_figure_of_the_harness_or_its_error_counts_and_another_version_accuses_nobody(tmp_path: Path) -> None:
    for key in ("value", "stderr"):
        other = changed(HARNESS, "tasks", 0, "figures", 0, key, value=0.4)
        found = judged(tmp_path, layout.HARNESS, HARNESS.to_bytes(), other)
        assert found.verdict == "DIFFERENT" and "0.4 here" in found.reason
    newer = changed(HARNESS, "lmEval", value="0.4.14")
    assert judged(tmp_path, layout.HARNESS, HARNESS.to_bytes(), newer).verdict == "UNSUPPORTED"


def test_what_a_release_lets_be_apart_is_stated(tmp_path: Path) -> None:
    lax = harness_tasks.record(settings=HarnessSettings(tasks=("colours",), tolerance=0.1))
    other = changed(lax, "tasks", 0, "figures", 0, "value", value=0.52)
    found = judged(tmp_path, layout.HARNESS, lax.to_bytes(), other)
    assert (found.verdict, found.tolerance) == ("WITHIN", 0.1) and "within 0.1" in found.reason


@pytest.mark.parametrize(
    ("found", "tolerance", "verdict", "reason"),
    [
        (b'{"a": 1.0, "of": {"b": 2, "c": "x"}}', 0, "WITHIN", "apart by 0"),
        (b'{"a": 1.001, "of": {"b": 2, "c": "x"}}', 0.01, "WITHIN", "apart by 0.000999"),
        (b'{"a": 1, "of": {"b": 2.5, "c": "x"}}', 0.01, "DIFFERENT", "of.b is 2 as signed, 2.5 here"),
        (b'{"a": 1, "of": {"c": "x"}}', 1, "DIFFERENT", "of.b is 2 as signed, missing here"),
        (b'{"a": 1, "of": {"b": 2, "c": "y"}}', 1, "DIFFERENT", "what stands beside its figures differs"),
        (b"no JSON", 1, "DIFFERENT", "a is 1 as signed, missing here"),
        (None, 1, "DIFFERENT", "it did not come out"),
    ],
)
def test_other_files_of_figures_are_compared_number_by_number(
    tmp_path: Path, found: bytes | None, tolerance: float, verdict: str, reason: str
) -> None:
    signed = b'{"a": 1, "of": {"b": 2, "c": "x"}}'
    made = judged(tmp_path, f"{layout.FIGURES}/m.json", signed, found, tolerance)
    assert made.verdict == verdict and reason in made.reason
    assert {one.name: one.signed for one in made.figures} == {"a": 1, "of.b": 2}


@given(st.binary(max_size=64), st.sampled_from([layout.EVALUATION, layout.HARNESS, f"{layout.FIGURES}/m.json"]))
def test_of_any_bytes_that_come_out_there_is_a_verdict(data: bytes, path: str) -> None:
    import tempfile

    signed = {layout.EVALUATION: EVALUATION.to_bytes(), layout.HARNESS: HARNESS.to_bytes()}.get(path, b'{"a": 1}')
    with tempfile.TemporaryDirectory() as folder:
        found = judged(Path(folder), path, signed, data)
    assert found.verdict == ("BITWISE" if data == signed else "DIFFERENT") or path.startswith(layout.FIGURES)


def details(*verdicts: str, **facts: Any) -> EvaluationDetails:
    """What a verdict on an evaluation rests on."""
    rows: list[dict[str, Any]] = [
        {"path": f"r{number}", "verdict": verdict, "signed": "a" * 64, "tolerance": 0.0, "reason": "", "figures": [],
         "found": "a" * 64 if verdict == "BITWISE" else None}
        for number, verdict in enumerate(verdicts)
    ]  # fmt: skip
    told = {"records": rows, "stages": ["evaluate"], "departs": [], "tolerance": 0.0, "environment": None,
            "cannot": [], "profiled": False, "walled": True}  # fmt: skip
    return EvaluationDetails.from_json(told | facts, name="details")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (details("BITWISE", "WITHIN"), "WITHIN"),
        (details("UNSUPPORTED", "DIFFERENT", "BITWISE"), "DIFFERENT"),
        (details("UNSUPPORTED", "BITWISE"), "UNSUPPORTED"),
        (details(), "UNSUPPORTED"),
        (details("BITWISE", walled=False), "UNSUPPORTED"),
        (details("DIFFERENT", walled=False), "DIFFERENT"),
        (details("DIFFERENT", cannot=["another CPU"]), "UNSUPPORTED"),
        (details("BITWISE", cannot=["another CPU"]), "BITWISE"),
        (details("BITWISE", departs=["tokens came out otherwise"]), "UNSUPPORTED"),
        (details("BITWISE", profiled=True), "UNSUPPORTED"),
    ],
)
def test_one_verdict_is_made_of_all(found: EvaluationDetails, verdict: str) -> None:
    assert found.verdict == verdict
