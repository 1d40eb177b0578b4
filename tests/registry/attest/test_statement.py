"""The in-toto statement: round trips, and nothing but InputError for hostile bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.attest.statement import MAX_TEXT, STATEMENT_TYPE, Statement, Subject
from registry.errors import InputError

NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40)
SUBJECTS = st.builds(Subject, NAMES, st.binary(min_size=32, max_size=32).map(bytes.hex))
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15)
VALUES = st.recursive(
    SCALARS | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
STATEMENTS = st.builds(
    Statement,
    st.lists(SUBJECTS, min_size=1, max_size=5, unique_by=lambda subject: subject.name).map(tuple),
    NAMES,
    st.dictionaries(NAMES, VALUES, max_size=4),
)
GOOD: dict[str, Any] = {
    "_type": STATEMENT_TYPE,
    "subject": [{"name": "a", "digest": {"sha256": "0" * 64}}],
    "predicateType": "https://example.org/claim/v1",
    "predicate": {},
}


@given(STATEMENTS)
def test_parsing_gives_back_the_statement_that_was_written(statement: Statement) -> None:
    data = statement.to_bytes()
    assert Statement.parse(data) == statement
    assert Statement.parse(data).to_bytes() == data


def test_a_statement_that_is_not_canonical_is_read_all_the_same() -> None:
    assert Statement.parse(json.dumps(GOOD, indent=2).encode()) == Statement.parse(canonical.dumps(GOOD))


def test_the_predicate_is_a_copy_that_no_later_change_reaches() -> None:
    predicate = {"rows": [1]}
    statement = Statement((Subject("a", "0" * 64),), "https://example.org", predicate)
    before = statement.to_bytes()
    predicate["rows"].append(2)
    assert statement.to_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"subject": []},
        {"subject": [GOOD["subject"][0], GOOD["subject"][0]]},
        {"subject": [{"name": "", "digest": {"sha256": "0" * 64}}]},
        {"subject": [{"name": "a\x1b[2J", "digest": {"sha256": "0" * 64}}]},
        {"subject": [{"name": "a" * (MAX_TEXT + 1), "digest": {"sha256": "0" * 64}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "0" * 63}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "A" * 64}}]},
        {"subject": [{"name": "a", "digest": {"md5": "0" * 32}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "0" * 64, "sha512": "0"}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "0" * 64}, "uri": "https://example.org"}]},
        {"subject": "a"},
        {"predicateType": ""},
        {"predicateType": 1},
        {"predicate": None},
        {"predicate": []},
        {"more": 1},
    ],
)
def test_any_other_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Statement.parse(canonical.dumps(GOOD | change))


def test_a_key_that_stands_twice_is_refused() -> None:
    twice = canonical.dumps(GOOD).replace(b'"predicate":{}', b'"predicate":{"a":1,"a":2}')
    with pytest.raises(InputError, match="twice"):
        Statement.parse(twice)


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_input_error_comes_of_hostile_bytes(data: bytes) -> None:
    with pytest.raises(InputError):
        Statement.parse(data)
