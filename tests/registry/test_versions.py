"""Versions are read, ordered and written in one way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import versions
from registry.errors import InputError


@given(st.integers(0, 999), st.integers(0, 999), st.integers(0, 999))
def test_versions_are_read_with_and_without_v(major: int, minor: int, patch: int) -> None:
    text = f"{major}.{minor}.{patch}"
    assert versions.parse(text) == versions.parse(f"v{text}") == (major, minor, patch)


@given(st.text(max_size=20))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        versions.parse(text)
    except InputError:
        return
    assert versions.FORM.fullmatch(text.removeprefix("v"))


@pytest.mark.parametrize("text", ["1.0", "01.0.0", "1.0.0-rc1", "1.0.0\n", "١.0.0"])
def test_half_versions_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"1\.2\.3"):
        versions.parse(text)


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3)))
def test_tags_come_in_the_order_of_their_numbers(numbers: list[tuple[int, int, int]]) -> None:
    tags = ["main", "1.0.0", "v1.0", *map(versions.tag_of, numbers)]
    ordered = sorted(tags, key=versions.order)
    assert [versions.numbers(tag) for tag in ordered[3:]] == sorted(numbers)
