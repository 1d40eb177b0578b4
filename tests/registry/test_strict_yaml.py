"""registry.strict_yaml: plain YAML in, plain values out."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from registry import strict_yaml
from registry.errors import InputError
from registry.records import layout
from tests.conftest import ROOT
from tests.goldens.make_releases import goldens

NUMBERS_SINCE_1_2 = re.compile(r"0o[0-7]+|[-+]?[0-9]*\.?[0-9]*[eE][-+]?[0-9]+")
"""What PyYAML, of YAML 1.1, writes without quotes for a text, and YAML 1.2 reads as a number."""
TEXT = st.text(st.characters(codec="ascii")).filter(lambda text: not NUMBERS_SINCE_1_2.fullmatch(text))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-. ", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_plain_values_come_back(value: object) -> None:
    class NoAliases(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    assert strict_yaml.parse(yaml.dump(value, Dumper=NoAliases).encode()) == value


READ = [strict_yaml.READER, yaml.SafeLoader]
KEPT = [ROOT / "params.yaml", ROOT / "dvc.yaml"]


def read_by_both(data: bytes) -> list[object]:
    """What libyaml and PyYAML make of `data`."""
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for reader in READ:
            patch.setattr(strict_yaml, "READER", reader)
            found.append(strict_yaml.parse(data))
    return found


def test_there_are_two_readers_to_compare() -> None:
    assert yaml.__with_libyaml__ and READ[0] is not READ[1]


@given(PLAIN, st.booleans(), st.integers(20, 200), st.sampled_from([None, "'", '"', "|", ">"]))
def test_both_readers_of_yaml_find_the_same(value: object, flow: bool, width: int, style: str | None) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, width=width, default_style=style)
    if "&" not in text and "!!" not in text:
        one, other = read_by_both(text.encode())
        assert one == other and repr(one) == repr(other)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_both_readers_of_yaml_find_the_same_in_what_people_and_dvc_write(path: Path) -> None:
    one, other = read_by_both(path.read_bytes())
    assert one == other and one


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
        ("1: a", "not a string"),
        ("a: !!int '1'", "tag"),
        ("a: !!str 1", "tag"),
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("010", 10), ("1:30", "1:30"), ("1_000", "1_000"), ("0x10", 16), ("0o10", 8),
        ("1e-3", 0.001), ("08", 8), ("true", True), ("True", True), ("tRue", "tRue"), ("~", None), ("", None),
        (".5", 0.5), ("-.inf", -float("inf")), ("'no'", "no"), ('"1"', "1"), ("+1", 1), ("1.", 1.0), (".", "."),
    ],
)  # fmt: skip
def test_scalars_are_read_as_yaml_1_2_has_them(text: str, value: object) -> None:
    found = strict_yaml.parse(f"a: {text}".encode())["a"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", ["010", "1:30", "no", "yes", "on", "Off", "1_000", "0b1"])
def test_what_the_versions_of_yaml_read_differently_is_refused_where_it_must_not_be(text: str) -> None:
    with pytest.raises(InputError, match=r"YAML 1\.2"):
        strict_yaml.parse(f"a: {text}".encode(), one_way=True)


@pytest.mark.parametrize("text", ["1", "1.5", "0x10", "true", "null", "2026-01-01", "'no'", "1e-3", "text"])
def test_what_they_read_alike_is_not(text: str) -> None:
    assert strict_yaml.parse(f"a: {text}".encode(), one_way=True) == strict_yaml.parse(f"a: {text}".encode())


def test_a_lock_is_read_alike_by_both_readers() -> None:
    with next(golden for golden in goldens() if golden.name == "v1/trained").unpacked() as root:
        one, other = read_by_both((root / layout.LOCK).read_bytes())
    assert one == other and isinstance(one, dict) and len(one["stages"]) > 5


def test_more_yaml_than_a_lock_has_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="more than 250000 values"):
        strict_yaml.parse(b"- 1\n" * 1_000_000)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x text\nc: [*x, *x]", {"a": "text", "c": ["text", "text"]}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        (
            "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}",
            {"a": {"b": 1}, "c": {"b": 2, "d": 3}, "e": {"b": 1, "d": 3}},
        ),
    ],
)
def test_aliases_are_read_where_a_caller_asks_for_it_as_dvc_reads_them(text: str, value: object) -> None:
    from dvc.utils.serialize import loads_yaml

    assert strict_yaml.parse(text.encode(), aliases=True) == value == loads_yaml(text)
    with pytest.raises(InputError, match=r"the alias|merge"):
        strict_yaml.parse(text.encode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: *x", "undefined alias|the alias"),
        ("a: &x [*x]", "the alias"),
        ("a: &x 1\nb: {<<: *x}", "not a map"),
        (
            "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "more than",
        ),
    ],
)
def test_aliases_that_laugh_or_lead_nowhere_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        strict_yaml.parse(text.encode(), aliases=True)
