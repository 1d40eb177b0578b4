"""registry.canonical: one byte string per JSON value, and nothing else gets in."""

import json
import resource
import time

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.errors import InputError, Malformed

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**53) + 1, 2.0**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(JSON)
def test_what_is_dumped_is_read_back_as_it_was(value: object) -> None:
    assert canonical.parse(canonical.dumps(value)) == value


@given(JSON | st.floats(1e-7, 1e-3) | st.floats(1e15, 9e15) | st.tuples(TEXT, st.just((1,))))
def test_the_bytes_are_those_of_rfc_8785_however_they_are_made(value: object) -> None:
    assert canonical.dumps(value) == canonical.dumps([value])[1:-1] == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(JSON | st.floats(1e-7, 1e-3) | st.floats(1e15, 9e15))
def test_json_for_people_is_that_of_pythons_own_writer(value: object) -> None:
    assert canonical.indented(value) == json.dumps(value, indent=1, ensure_ascii=False).encode()


@given(JSON)
def test_the_order_of_keys_does_not_change_the_bytes(value: object) -> None:
    shuffled = json.loads(json.dumps({"a": value, "b": 1}), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert canonical.dumps(shuffled) == canonical.dumps({"a": value, "b": 1})


@given(JSON, st.sampled_from([b" ", b"\n", b"0", b"\\"]), st.integers(0, 200))
def test_canonical_bytes_are_told_from_others_that_say_the_same(value: object, more: bytes, place: int) -> None:
    data = canonical.dumps(value)
    assert canonical.is_canonical(data) == (canonical.dumps(json.loads(data)) == data)
    changed = data[:place] + more + data[place:]
    assert not canonical.is_canonical(changed) or canonical.dumps(canonical.parse(changed)) == changed


@pytest.mark.parametrize(
    "data", [b'{"a":1,"a":1}', b"NaN", b"1.0", b"1e1", b'"\\ud800"', b"\xff", b"[" * 99999, b'{"b":1,"a":2}', b""]
)
def test_what_only_some_readers_take_is_not_canonical(data: bytes) -> None:
    assert not canonical.is_canonical(data)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_hostile_bytes_raise_our_error_and_no_other(data: bytes) -> None:
    try:
        canonical.parse(data)
    except InputError as error:
        assert error.mend


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b"NaN", "NaN"),
        (b"-Infinity", "Infinity"),
        (b"1e999", "too large"),
        (b"9007199254740992", "2\\*\\*53"),
        (b"[" * 100_000 + b"]" * 100_000, "nested"),
        (b'"\\ud800"', "surrogates"),
        (b"\xff", "utf-8"),
        (b"{} {}", "Extra data"),
        (b"", "Expecting value"),
    ],
)
def test_what_json_readers_disagree_about_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        canonical.parse(data)


def test_brackets_inside_strings_do_not_count_as_depth() -> None:
    assert canonical.parse(b'"' + b"[" * 1000 + b'\\""') == "[" * 1000 + '"'


def test_more_bytes_than_allowed_are_refused_before_parsing() -> None:
    with pytest.raises(InputError, match="3 bytes"):
        canonical.parse(b"[1]", max_bytes=2)


MANY = canonical.MAX_PARTS + 1


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b",".join([b"[]"] * (MANY // 2 + 1)) + b"]",
        b"[" + b",".join([b"1"] * MANY) + b"]",
        b"[" + b",".join([b'"a,b"'] * MANY) + b"]",
        b"[" + b",".join([b'"\\""'] * MANY) + b"]",
        b"[" + b",".join([b'"\\\\"'] * MANY) + b"]",
        b"[" + b",".join([b"{}"] * (canonical.MAX_OBJECTS + 1)) + b"]",
        b"{" + b",".join(b'"%d":[]' % number for number in range(MANY // 2 + 1)) + b"}",
    ],
    ids=["lists", "numbers", "texts with marks", "escaped quotes", "escaped escapes", "objects", "keys"],
)
def test_more_things_than_allowed_are_refused_before_one_is_built(data: bytes) -> None:
    with pytest.raises(Malformed, match=r"more (than|texts than those of) the 1000000 things"):
        canonical.check_shape(data)
    with pytest.raises(Malformed):
        canonical.parse(data)


def test_as_many_things_as_are_allowed_are_read_and_marks_in_texts_are_none() -> None:
    assert canonical.parse(b"[1,2]", max_parts=2) == [1, 2]
    with pytest.raises(Malformed):
        canonical.parse(b"[1,2,3]", max_parts=2)
    text = ',[{"' * 100 + "\\"
    assert canonical.parse(json.dumps([text]).encode(), max_parts=1) == [text]
    assert canonical.parse(json.dumps({text: text}).encode(), max_parts=1) == {text: text}


@given(JSON, st.integers(0, 30))
def test_a_count_is_that_of_the_marks_outside_of_texts(value: object, allowed: int) -> None:
    def things(value: object) -> int:
        match value:
            case dict() | list():
                inner = value.values() if isinstance(value, dict) else value
                return max(1, len(value)) + sum(map(things, inner))
        return 0

    try:
        canonical.check_shape(canonical.dumps(value), max_parts=allowed)
    except Malformed:
        assert things(value) > allowed
    else:
        assert things(value) <= allowed


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, 2**60, {"a": object()}, "\ud800", {"\ud800": 1}, {1: 2}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        canonical.dumps(value)


@pytest.mark.parametrize(
    "unit", [b"[", b"[]", b"]", b'{"a":', b'"\\', b'\\"', b'"', b'"["', b"[" * 60 + b"]" * 60 + b","]
)
def test_no_bytes_take_long_to_be_refused(unit: bytes) -> None:
    data = unit * ((4 << 20) // len(unit))
    started = time.process_time()
    with pytest.raises(InputError):
        canonical.parse(data)
    assert time.process_time() - started < 5


def test_more_things_than_memory_is_kept_for_are_refused_before_one_is_built() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Malformed, match="more than the 1000000 things"):
        canonical.parse(b"[" + b"[]," * 4_000_000 + b"0]")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < 200 << 20
    assert canonical.parse(b'"' + b"[," * 5_000_000 + b'"')
