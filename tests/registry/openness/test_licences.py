"""Licences are graded by lists of what is open: by type, and through expressions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.hub.licence_names import LICENCES
from registry.openness import licences
from registry.openness.framework import Kind
from registry.openness.licences import Grade, contradicts, grade, is_osi

NAMES = st.sampled_from(["MIT", "Apache-2.0", "CC-BY-4.0", "CC0-1.0", "GPL-3.0-only", "LicenseRef-mine", "OpenMDW-1.0"])
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["code", "data", "document"])


@pytest.mark.parametrize(
    ("expression", "code", "data", "document"),
    [
        ("Apache-2.0", Grade.OPEN, Grade.CONDITIONAL, Grade.OPEN),
        ("MIT", Grade.OPEN, Grade.CONDITIONAL, Grade.CONDITIONAL),
        ("bsd-3-clause", Grade.CONDITIONAL, Grade.CONDITIONAL, Grade.CONDITIONAL),
        ("CDLA-Permissive-2.0", Grade.CONDITIONAL, Grade.OPEN, Grade.CONDITIONAL),
        ("CC-BY-SA-3.0", Grade.CONDITIONAL, Grade.CONDITIONAL, Grade.OPEN),
        ("cc0-1.0", Grade.CONDITIONAL, Grade.OPEN, Grade.OPEN),
        ("OpenMDW-1.0", Grade.OPEN, Grade.OPEN, Grade.OPEN),
        ("pddl", Grade.CONDITIONAL, Grade.OPEN, Grade.CONDITIONAL),
        ("MIT AND CC0-1.0", Grade.CONDITIONAL, Grade.CONDITIONAL, Grade.CONDITIONAL),
        ("MIT OR LicenseRef-mine", Grade.OPEN, Grade.CONDITIONAL, Grade.CONDITIONAL),
        ("MIT AND (LicenseRef-mine OR Apache-2.0)", Grade.OPEN, Grade.CONDITIONAL, Grade.CONDITIONAL),
        ("GPL-2.0-only WITH Classpath-exception-2.0", Grade.CONDITIONAL, Grade.CONDITIONAL, Grade.CONDITIONAL),
    ],
)
def test_each_type_has_licences_of_its_own(expression: str, code: Grade, data: Grade, document: Grade) -> None:
    assert (grade(expression, "code"), grade(expression, "data"), grade(expression, "document")) == (
        code, data, document,
    )  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        "", "other", "unknown", "NOASSERTION", "llama3", "openrail", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "odc-by",
        "MIT AND", "AND MIT", "MIT MIT", "(MIT", "MIT)", "()", "MIT WITH", "MIT WITH Commons-Clause",
        "MIT AND LicenseRef-mine", "M\u0130T", "(" * 2000, "(" * 30 + "MIT" + ")" * 30, "MIT OR " * 400 + "MIT",
    ],
)  # fmt: skip
def test_what_is_not_known_to_be_open_is_closed(expression: str) -> None:
    for kind in licences.TYPED:
        assert grade(expression, kind) is Grade.CLOSED
    assert not is_osi(expression)


@given(NAMES, NAMES, KINDS)
def test_and_is_the_worse_and_or_the_better(one: str, other: str, kind: Kind) -> None:
    grades = (grade(one, kind), grade(other, kind))
    assert grade(f"{one} AND {other}", kind) is min(grades)
    assert grade(f"({one}) or ({other})", kind) is max(grades)
    assert grade(f"{one} OR {one} AND {other}", kind) is max(grades[0], min(grades))


@given(st.text(alphabet="MIT()ANDORWH .-+0aé\n", max_size=60) | st.text(max_size=60), KINDS)
def test_every_text_has_a_grade(text: str, kind: Kind) -> None:
    assert grade(text, kind) in Grade
    assert is_osi(text) in (True, False)


def test_the_hubs_names_of_open_licences_are_known() -> None:
    """Those that are left are not on the lists of the framework."""
    closed = {name for name in LICENCES if grade(name, "code") is Grade.CLOSED}
    assert {"apache-2.0", "mit", "cc-by-4.0", "cdla-permissive-2.0", "c-uda", "pddl", "openmdw-1.0"}.isdisjoint(closed)
    assert {"llama3", "gemma", "cc-by-nc-4.0", "openrail", "other", "unknown", "odc-by"} <= closed


@pytest.mark.parametrize(
    ("text", "expression", "other"),
    [
        ("Apache License\n  Version 2.0, January 2004", "Apache-2.0", None),
        ("Apache License\n  Version 2.0, January 2004", "MIT", "apache-2.0"),
        ("Apache License\n  Version 2.0, January 2004", "MIT OR Apache-2.0", None),
        ("GNU GENERAL PUBLIC LICENSE Version 3", "GPL-3.0-or-later", None),
        ("LLAMA 2 COMMUNITY LICENSE AGREEMENT", "Apache-2.0", "llama2"),
        ("words of nobody", "MIT", None),
        ("Apache License\n  Version 2.0", "LicenseRef-mine", None),
    ],
)
def test_a_text_of_another_licence_is_seen(text: str, expression: str, other: str | None) -> None:
    assert contradicts(text, expression) == other
