"""harness.json says each figure once, under a name of its own; nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.errors import Malformed
from registry.records.harness import HarnessEvaluation, HarnessGroup
from tests import harness_tasks


def test_it_survives_being_written_and_names_its_figures() -> None:
    figures = (harness_tasks.figure(0.25), harness_tasks.figure(0.75, "exact_match", "strict-match", None))
    group = HarnessGroup(group="mmlu", figures=(harness_tasks.figure(0.3),))
    made = harness_tasks.record(harness_tasks.task("gsm8k", *figures, data=harness_tasks.HUB), groups=(group,))
    assert HarnessEvaluation.from_bytes(made.to_bytes(), name="x") == made
    assert made.figures == {
        "harness:gsm8k.acc": 0.25, "harness:gsm8k.exact_match.strict-match": 0.75, "harness:mmlu.acc": 0.3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("tasks", 0, "documents"), 13, "13 documents were evaluated of 12"),
        (("tasks", 0, "figures", 0, "name"), "a,b", "figures.0.name"),
        (("tasks", 0, "files"), {"../x": "0" * 64}, "tasks.0.files"),
        (("tasks", 0, "data"), {"repo": "no-owner", "name": None, "revision": None}, "data.repo"),
        (("settings", "tolerance"), 0.5, "settings.tolerance"),
        (("settings", "tasks"), [], "settings.tasks"),
        (("lmEval",), "", "lmEval"),
    ],
)
def test_what_it_cannot_say_is_refused(place: tuple[str | int, ...], value: object, told: str) -> None:
    said = harness_tasks.record().as_json()
    at = said
    for key in place[:-1]:
        at = at[key]  # type: ignore[index]
    at[place[-1]] = value  # type: ignore[index]
    with pytest.raises(Malformed, match=told):
        HarnessEvaluation.from_json(said, name="harness.json")


def test_a_task_or_a_figure_that_stands_twice_is_refused() -> None:
    same = harness_tasks.task()
    for said in (
        harness_tasks.record().as_json() | {"tasks": [same.as_json()] * 2},
        harness_tasks.record().as_json() | {"tasks": [{**same.as_json(), "figures": same.as_json()["figures"] * 2}]},
        harness_tasks.record().as_json() | {"groups": [{"group": "colours", "figures": same.as_json()["figures"]}]},
    ):
        with pytest.raises(Malformed, match="twice"):
            HarnessEvaluation.from_json(said, name="harness.json")


KEYS = st.sampled_from(["tasks", "groups", "settings", "schema", "weights", "lmEval", "figures", "x"])
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(codec="ascii"))


@given(st.recursive(VALUES, lambda one: st.lists(one) | st.dictionaries(KEYS, one)))
def test_of_any_value_it_is_read_or_refused(value: object) -> None:
    try:
        made = HarnessEvaluation.from_bytes(canonical.dumps(value), name="x")
    except Malformed:
        return
    assert made.figures
