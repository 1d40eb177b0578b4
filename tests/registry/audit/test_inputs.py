"""registry.audit.inputs: what a remote brought is held to what was signed, also inside a directory of many files."""

from __future__ import annotations

import pytest

from registry.audit.inputs import _brought
from registry.errors import Unavailable
from registry.records.listing import Listings, parts
from registry.records.run import Measured, Run, directory_digest, listing_text

A, B = "a" * 64, "b" * 64
FILES = {"given.bin": A, "given/x": B, "made.bin": B}
WHOLE = Measured(path="raw", sha256=directory_digest(FILES), files=FILES)
LARGE = WHOLE.model_copy(update={"files": {}})
NAMED = {"raw/given.bin", "raw/given"}
"""What .dvc files name."""


def brought(dep: Measured, outs: set[str], *, listed: bool = True) -> list[Measured]:
    run = Run(stage="train", command="x", params={}, deps=(dep,), outs=())
    found = dict(parts(WHOLE.sha256, listing_text(FILES).encode())) if listed else {}
    return list(_brought(run, outs, Listings(found, lambda path, most: found[path])))


@pytest.mark.parametrize("dep", [WHOLE, LARGE])
def test_files_that_a_dvc_file_names_inside_a_dependency_are_told(dep: Measured) -> None:
    expected = [Measured(path="raw/given.bin", sha256=A), Measured(path="raw/given/x", sha256=B)]
    assert brought(dep, NAMED) == expected
    assert brought(dep, {"raw"}) == [dep] and brought(dep, {"other"}) == []


def test_what_a_directory_that_nobody_lists_holds_is_not_taken_for_nothing() -> None:
    with pytest.raises(Unavailable, match="the files of raw are too many"):
        brought(LARGE, NAMED, listed=False)
    assert brought(LARGE, {"raw"}, listed=False) == [LARGE] and brought(LARGE, {"other"}, listed=False) == []
