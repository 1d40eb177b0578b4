"""Addresses of stages: what DVC writes, and what files are called after them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InputError, Malformed
from registry.records.addresses import NAME, address, check_names, slug, split, template

FOLDERS = st.lists(st.text("abA.=@- é", min_size=1, max_size=6), max_size=3).map("/".join)
NAMES = st.from_regex(re.compile(NAME), fullmatch=True)


@given(FOLDERS, NAMES)
def test_an_address_is_its_folder_and_its_name(folder: str, name: str) -> None:
    assert split(address(folder, name)) == (folder, name)
    assert re.fullmatch(NAME, slug(address(folder, name)))


@given(st.sets(st.tuples(FOLDERS, NAMES), max_size=5))
def test_what_passes_has_files_of_its_own(places: set[tuple[str, str]]) -> None:
    names = [address(folder, name) for folder, name in places]
    try:
        check_names(names)
    except (InputError, Malformed):
        return
    assert len({slug(name).lower() for name in names}) == len(names)


@pytest.mark.parametrize(
    ("place", "expected", "group"),
    [
        ("train", "train", "train"),
        ("train@a", "train@a", "train"),
        ("models/small/dvc.yaml:train@a", "models=small=train@a", "models/small/dvc.yaml:train"),
        ("m@x/dvc.yaml:train@a", "m@x=train@a", "m@x/dvc.yaml:train"),
    ],
)
def test_examples(place: str, expected: str, group: str) -> None:
    assert (slug(place), template(place)) == (expected, group)


@pytest.mark.parametrize("place", ["", "a/b", "../dvc.yaml:a", "/dvc.yaml:a", "a//b/dvc.yaml:c", "x/dvc.yaml:a b"])
def test_what_no_project_has_is_refused(place: str) -> None:
    with pytest.raises((InputError, Malformed)):
        check_names([place])


def test_two_stages_of_one_file_are_refused() -> None:
    with pytest.raises(InputError, match="cannot tell apart"):
        check_names(["train@a/dvc.yaml:b", "train@a=b"])
