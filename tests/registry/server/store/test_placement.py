"""Which files go to the blob store."""

from __future__ import annotations

import base64

import pytest

from registry.records.layout import LARGE_SUFFIXES, MAX_REGULAR
from registry.server.problems import Problem
from registry.server.store.placement import GIT_ATTRIBUTES, Announced


def announced(path: str, size: int, sample: bytes = b"text") -> Announced:
    return Announced(path, size, base64.b64encode(sample).decode())


@pytest.mark.parametrize(
    ("file", "large"),
    [
        (announced("README.md", 100), False),
        (announced("README.md", MAX_REGULAR), False),
        (announced("README.md", MAX_REGULAR + 1), True),
        (announced("picture", 100, b"\x89PNG\0"), True),
        (announced("a/MODEL.SafeTensors", 1), True),
        (announced("model.safetensors", 0, b""), False),
        (announced("safetensors", 100), False),
    ],
)
def test_what_is_binary_large_or_named_so_is_large(file: Announced, large: bool) -> None:
    assert file.large is large


def test_a_sample_that_is_not_base64_is_declined() -> None:
    with pytest.raises(Problem, match="not base64"):
        assert Announced("a.txt", 1, "*").large


def test_git_lfs_is_told_of_the_same_names() -> None:
    told = [line.split()[0] for line in GIT_ATTRIBUTES.decode().splitlines()]
    assert told == [f"*{suffix}" for suffix in LARGE_SUFFIXES]
