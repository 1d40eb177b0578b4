"""References: what a person types is one thing, and goes through text unharmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InputError
from registry.hub.reference import DirectoryReference, HubReference, is_name, is_revision, parse

names = st.from_regex(r"[A-Za-z0-9]{1,8}([._-][A-Za-z0-9]{1,8})?", fullmatch=True).filter(is_name)
revisions = st.from_regex(r"[A-Za-z0-9]{1,8}([./+_-][A-Za-z0-9]{1,8}){0,3}", fullmatch=True).filter(is_revision)
hub_references = st.builds(
    lambda prefix, owner, name, revision: HubReference(f"{prefix}{owner}/{name}", revision),
    st.sampled_from(["", "datasets/"]),
    names.filter(lambda name: name != "datasets"),
    names,
    revisions,
)
directories = st.builds(lambda parts: DirectoryReference(Path(*parts)), st.lists(names, min_size=1, max_size=4))


@given(hub_references | directories)
def test_a_reference_is_its_text(reference: HubReference | DirectoryReference) -> None:
    assert parse(str(reference)) == reference
    assert str(parse(str(reference))) == str(reference)


def test_main_is_meant_where_no_revision_is_given() -> None:
    assert parse("hf://org/model") == HubReference("org/model", "main")
    assert str(parse("hf://org/model")) == "hf://org/model@main"


@given(st.text(max_size=60) | st.text(max_size=60).map(lambda text: f"hf://org/model@{text}"))
def test_any_text_is_a_reference_or_bad_input(text: str) -> None:
    try:
        reference = parse(text)
    except InputError:
        return
    assert parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf://",
        "hf://org",
        "hf://org/",
        "hf://org/model@",
        "hf://org/model/more",
        "hf://../model",
        "hf://org/mo--del",
        "hf://org/model.git",
        "hf://org/model@v1@v2",
        "hf://org/model@../main",
        "hf://org/model@a..b",
        "hf://org/model@-x",
        "hf://org/model@v1.lock",
        "hf://org/model@HEAD~1",
        "hf://org/model@v1\r\nX: y",
        "https://huggingface.co/org/model",
        "s3://bucket/model",
        "a\0b",
    ],
)
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse(text)
