"""The classes: what each needs, what is reached, and what is open to doubt."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.openness import osaid
from registry.openness.assessment import Assessment, Judged, licensed, missing, next_above
from registry.openness.framework import BY_NAME, COMPONENTS, NAMES, is_as_open, needed
from registry.records.openness_record import CLASSES, COUNTED, ComponentState, OpennessClass, OpennessRecord

STATES: st.SearchStrategy[ComponentState] = st.sampled_from(get_args(ComponentState))
EVERY = st.fixed_dictionaries(dict.fromkeys(NAMES, STATES))


def assessment(states: dict[str, ComponentState]) -> Assessment:
    """A model whose components are in these states."""
    return Assessment.of("it", [Judged(BY_NAME[name], state, "so it is", "MIT") for name, state in states.items()])


def all_open(*but: str) -> dict[str, ComponentState]:
    return {name: "missing" if name in but else "open" for name in NAMES}


def test_there_are_seventeen_components_and_each_class_has_all_of_the_one_below() -> None:
    assert len(COMPONENTS) == len(BY_NAME) == 17
    assert [len(needed(of)) for of in ("III", "II", "I")] == [6, 10, 14]
    assert set(needed("III")) < set(needed("II")) < set(needed("I"))


@pytest.mark.parametrize(
    ("lacks", "reached"),
    [
        ((), "I"),
        (("sample-outputs", "supporting-libraries", "model-metadata"), "I"),
        (("research-paper",), "II"),
        (("datasets",), "II"),
        (("model-parameters-intermediate",), "II"),
        (("data-preprocessing-code",), "II"),
        (("training-code",), "III"),
        (("evaluation-data", "datasets"), "III"),
        (("model-card",), None),
        (("model-parameters-final",), None),
        (("technical-report",), "I"),
        (("technical-report", "research-paper"), None),
    ],
)
def test_a_class_is_reached_where_it_lacks_nothing(lacks: tuple[str, ...], reached: OpennessClass | None) -> None:
    found = assessment(all_open(*lacks))
    assert found.reached == reached == found.at_most
    above = next_above(reached)
    assert bool(found.lacking) is (above is not None)
    assert {one.component.name for one in found.lacking} <= set(lacks)


@given(EVERY)
def test_what_is_possible_is_at_least_what_is_reached(states: dict[str, ComponentState]) -> None:
    found = assessment(states)
    assert is_as_open(found.at_most, found.reached)
    better: dict[str, ComponentState] = {
        name: "open" if state == "unknown" else state for name, state in states.items()
    }
    assert assessment(better).reached == found.at_most
    assert OpennessRecord.from_bytes(found.record.to_bytes(), name="it") == found.record
    for of in CLASSES:
        assert (found.short_of(of) == ()) is is_as_open(found.reached, of)


@given(EVERY, st.sampled_from(NAMES))
def test_more_never_makes_it_less_open(states: dict[str, ComponentState], name: str) -> None:
    before, after = assessment(states), assessment({**states, name: "open"})
    assert is_as_open(after.reached, before.reached) and is_as_open(after.at_most, before.at_most)


def test_a_component_counts_by_its_licence() -> None:
    assert licensed("training-code", "there", "MIT", ()).state == "open"
    assert licensed("training-code", "there", "CC0-1.0", ()).state == "conditional"
    closed = licensed("training-code", "there", "CC-BY-NC-4.0", ())
    assert closed.state == "missing" and "not known to be an open licence" in closed.why
    assert not missing("datasets", "nowhere").counts and licensed("datasets", "there", "MIT", ()).state in COUNTED


def test_the_open_source_definition_asks_for_licences_of_osi() -> None:
    found = assessment(all_open())
    assert set(found.osaid.values()) == {"open"} and osaid.verdict(found.osaid) is True
    free = found.replaced(Judged(BY_NAME["training-code"], "conditional", "", "CC-BY-4.0"))
    assert free.osaid["training"] == "missing" and osaid.verdict(free.osaid) is False
    data = assessment(all_open("datasets", "research-paper", "technical-report"))
    assert data.osaid["data-information"] == "open"
    unseen = found.replaced(Judged(BY_NAME["inference-code"], "unknown", "", None))
    assert osaid.verdict(unseen.osaid) is None
