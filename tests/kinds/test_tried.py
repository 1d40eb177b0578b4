"""What `make kinds` tried is what the locks pin, and it is every kind that has a library."""

from __future__ import annotations

from registry.records.kinds import NAMES
from tests.conftest import ROOT
from tests.kinds import tried
from tests.kinds.projects import FIXTURES


def test_each_kind_was_tried_with_the_versions_that_are_locked() -> None:
    """Where this fails after `make lock`, run `make kinds` and commit tests/kinds/tried.json."""
    rows = tried.rows()
    assert {name: row["libraries"] for name, row in rows.items()} == {
        fixture.name: tried.pins(fixture).split() for fixture in FIXTURES
    }
    assert {fixture.kind for fixture in FIXTURES} == set(NAMES) - {"other"}
    assert {row["kind"] for row in rows.values()} == {fixture.kind for fixture in FIXTURES}


def test_no_project_needed_more_than_the_how_to_says() -> None:
    lines = sorted(row["lines"] for row in tried.rows().values())
    assert f"`init` writes {lines[0]} to {lines[-1]} lines" in (ROOT / "docs/how-to/adopt.md").read_text()
