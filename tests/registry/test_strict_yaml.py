"""registry.strict_yaml: plain YAML in, plain values out."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from registry import strict_yaml
from registry.errors import InputError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="ascii")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-. ", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_plain_values_come_back(value: object) -> None:
    class NoAliases(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    assert strict_yaml.parse(yaml.dump(value, Dumper=NoAliases).encode()) == value


@given(st.binary(max_size=100) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_hostile_bytes_raise_our_error_and_no_other(data: bytes) -> None:
    try:
        strict_yaml.parse(data)
    except InputError as error:
        assert error.mend


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\na: 2", "twice"),
        ("a: &x [1]\nb: *x", "alias"),
        ("a: !!python/object/apply:os.system ['true']", "tag"),
        ("1: a", "no string"),
        ("[" * 200, "deep"),
        ("--- a\n--- b", "document"),
        ("a: !!set {b}", "tag"),
    ],
)
def test_yamls_tricks_are_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        strict_yaml.parse(text.encode())


def test_dates_stay_text() -> None:
    assert strict_yaml.parse(b"day: 2026-11-23") == {"day": "2026-11-23"}
