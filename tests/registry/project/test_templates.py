"""registry.project.templates: what DVC makes of a template fits it, and hostile ones take no time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InputError
from registry.project import templates

PLAIN = st.text("ab$\\{", max_size=4).filter(lambda text: "${" not in text and not text.endswith(("\\", "$")))


@given(st.lists(st.tuples(PLAIN, st.text("ab}$", max_size=3))), PLAIN)
def test_whatever_stands_in_the_place_of_a_template_fits(parts: list[tuple[str, str]], last: str) -> None:
    template = "".join(f"{text}${{item}}" for text, _ in parts) + last
    made = "".join(f"{text}{value}" for text, value in parts) + last
    assert templates.fits(template, made)
    assert templates.fits(made, made) or "${" in made
    assert not templates.fits(f"{template}c", made) and not templates.fits(f"c{template}", made)


@pytest.mark.parametrize(
    ("template", "text", "expected"),
    [
        ("a ${x} b", "a b", False),
        ("a ${x} b", "a  b", True),
        ("ab${x}bc", "abc", False),
        (r"\${HOME} ${x}", "${HOME} 1", True),
        (r"\${HOME} ${x}", "elsewhere 1", False),
        ("${x}-${y}-${z}", "1-2", False),
        ("${x", "${x", True),
        ("${a[0]}/b}", "1/b}", True),
        ("", "", True),
    ],
)
def test_the_text_around_is_compared(template: str, text: str, expected: bool) -> None:
    assert templates.fits(template, text) is expected


def test_paths_that_no_template_makes_are_named_and_templates_that_make_none() -> None:
    assert list(templates.unmatched(["in", "a/${x}", "b/${x}"], ["in", "a/1", "a/2", "c"])) == ["c", "b/${x}"]
    assert list(templates.unmatched(["in"], ["in"])) == []
    many = [f"{number}${{x}}" for number in range(1001)]
    with pytest.raises(InputError, match="too many"):
        list(templates.unmatched(many, map(str, range(1000))))


def test_hostile_templates_are_read_in_one_go() -> None:
    assert not templates.fits("${" * 500_000, "x")
    assert templates.fits("${a}" * 100_000, "")
    assert not templates.fits("${a}x" * 50_000 + "y", "x" * 100_000)
