"""registry.records.data_manifest: rows, their root, and what does not belong to them."""

import io
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import sha256_bytes
from registry.errors import InputError, Malformed, VerificationError
from registry.merkle import root
from registry.records import data_manifest
from registry.records.data_manifest import ROWS, SUMMARY, DataSource, Summary
from registry.records.data_row import Row
from registry.records.row_lines import PlainRow, iter_uses

SOURCES = (
    DataSource(id="files:notes", kind="files", license="MIT", url="https://example.org/notes"),
    DataSource(id="pkg:pypi/a@1", kind="installed", license="Apache-2.0"),
)


def row(source: str, path: str, size: int, use: str = "train", **more: Any) -> Row:
    given = {"source": source, "path": path, "sha256": f"{size:064x}", "bytes": size, "license": "MIT", "use": use}
    return Row.from_json({**given, "reason": None, **more}, name="row")


ALL_ROWS = (
    row("files:notes", "a.md", 3),
    row("files:notes", "b/ä.md", 5, "validation"),
    row("pkg:pypi/a@1", "a.md", 7, "excluded", reason="license", license="NOASSERTION"),
    row("pkg:pypi/a@1", "z.py", 11, license="Apache-2.0"),
)


def test_what_is_counted(tmp_path: Path) -> None:
    summary = data_manifest.write(tmp_path, ALL_ROWS, reversed(SOURCES))
    assert summary.rows == 4
    assert summary.size == 26
    assert summary.splits.as_json() == {
        "train": {"documents": 2, "bytes": 14},
        "validation": {"documents": 1, "bytes": 5},
    }
    assert summary.excluded == {"license": 1}
    assert {name: tally.size for name, tally in summary.licenses.items()} == {"MIT": 8, "Apache-2.0": 11}
    assert [(source.id, source.documents, source.size) for source in summary.sources] == [
        ("files:notes", 2, 8),
        ("pkg:pypi/a@1", 1, 11),
    ]
    lines = (tmp_path / ROWS).read_bytes().splitlines()
    assert summary.root == root(lines)
    assert json.loads(lines[0])["bytes"] == 3


def test_what_is_written_is_read_back_and_holds(tmp_path: Path) -> None:
    summary = data_manifest.write(tmp_path, ALL_ROWS, SOURCES)
    assert data_manifest.read_summary(tmp_path / SUMMARY) == summary
    assert tuple(data_manifest.iter_rows(tmp_path / ROWS)) == ALL_ROWS
    data_manifest.verify(summary, tmp_path / ROWS)


def test_no_rows_are_a_manifest_too(tmp_path: Path) -> None:
    summary = data_manifest.write(tmp_path, [], [])
    assert summary.rows == 0
    data_manifest.verify(summary, tmp_path / ROWS)


def test_the_bytes_are_those_that_were_signed_before(tmp_path: Path) -> None:
    """A golden: a change here breaks every release that stands."""
    summary = data_manifest.write(tmp_path, ALL_ROWS, SOURCES)
    assert summary.root == "13a6474dfc1653f66e260f58918c359f4ac8fbc8788bc37b6e884bcc9a3f26bb"
    assert summary.rows_sha256 == "289a8e7f2bed0dfe1488ec2959b8864d7e65ad2ddbf463aee85b5fe9ea1ed9da"
    assert (tmp_path / SUMMARY).read_bytes() == summary.to_bytes()


@pytest.mark.parametrize(
    "rows",
    [ALL_ROWS[::-1], (ALL_ROWS[0], ALL_ROWS[0]), (row("files:other", "a", 1),)],
    ids=["out of order", "twice", "of no source"],
)
def test_rows_that_break_the_law_are_refused_and_leave_nothing(tmp_path: Path, rows: tuple[Row, ...]) -> None:
    with pytest.raises(InputError):
        data_manifest.write(tmp_path, rows, SOURCES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"use": "excluded"},
        {"reason": "size"},
        {"path": "../a"},
        {"bytes": -1},
        {"bytes": 1.5},
        {"sha256": "A" * 64},
        {"license": ""},
        {"source": "a\nb"},
        {"more": 1},
    ],
)
def test_a_row_that_says_nonsense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Row.from_json({**ALL_ROWS[0].as_json(), **change}, name="row")


@given(st.data())
def test_one_byte_changed_in_the_rows_is_seen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("rows")
    summary = data_manifest.write(folder, ALL_ROWS, SOURCES)
    content = bytearray((folder / ROWS).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / ROWS).write_bytes(content)
    with pytest.raises(VerificationError):
        data_manifest.verify(summary, folder / ROWS)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("root", "0" * 64),
        ("rows", 5),
        ("bytes", 1),
        ("splits", {"train": {"documents": 9, "bytes": 14}, "validation": {"documents": 1, "bytes": 5}}),
        ("excluded", {}),
        ("licenses", {}),
    ],
)
def test_a_summary_that_counts_otherwise_is_named(tmp_path: Path, part: str, value: object) -> None:
    summary = data_manifest.write(tmp_path, ALL_ROWS, SOURCES)
    other = Summary.from_json({**summary.as_json(), part: value}, name=SUMMARY)
    with pytest.raises(VerificationError, match=part):
        data_manifest.verify(other, tmp_path / ROWS)


def test_a_source_that_claims_more_is_seen(tmp_path: Path) -> None:
    said = data_manifest.write(tmp_path, ALL_ROWS, SOURCES).as_json()
    said["sources"][0]["documents"] = 100
    with pytest.raises(VerificationError, match="sources"):
        data_manifest.verify(Summary.from_json(said, name=SUMMARY), tmp_path / ROWS)


def test_rows_with_another_spelling_are_refused(tmp_path: Path) -> None:
    (tmp_path / ROWS).write_bytes(json.dumps(ALL_ROWS[0].as_json()).encode() + b"\n")
    with pytest.raises(InputError, match="not canonical"):
        list(data_manifest.iter_rows(tmp_path / ROWS))


def test_an_endless_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / ROWS).open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(InputError, match="line 1 is too long"):
        next(data_manifest.iter_rows(tmp_path / ROWS))


def test_missing_files_are_bad_input(tmp_path: Path) -> None:
    summary = data_manifest.write(tmp_path, ALL_ROWS, SOURCES)
    with pytest.raises(InputError):
        data_manifest.read_summary(tmp_path / "other")
    with pytest.raises(InputError):
        data_manifest.verify(summary, tmp_path / "other")


@pytest.mark.parametrize(
    "more",
    [
        {"cluster": "0" * 64},
        {"use": "excluded", "reason": "near-duplicate"},
        {"use": "excluded", "reason": "contaminated"},
        {"scrubbed": {"emails": 1}},
        {"scrubbed": {"phones": 1}, "original": {"sha256": "0" * 64, "bytes": 1}},
        {"original": {"sha256": "0" * 64, "bytes": 1}},
        {"original": {"sha256": "0" * 64, "bytes": 1}, "scrubbed": {}},
        {"overlap": {"passage": "quiz", "ngrams": 0}},
        {"cluster": None},
        {"overlap": None},
    ],
)
def test_a_row_says_what_rules_did_whole_or_not_at_all(more: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        row("s", "a", 1, **{"use": "train", **more})


def test_what_was_scrubbed_is_counted_and_held_to_the_rows(tmp_path: Path) -> None:
    more: dict[str, Any] = {"original": {"sha256": "0" * 64, "bytes": 30}, "scrubbed": {"emails": 2, "secrets": 1}}
    rows = [
        row("files:notes", "a", 3, "train", **more),
        row("files:notes", "b", 4, overlap={"passage": "quiz/1", "ngrams": 1}),
    ]
    summary = data_manifest.write(tmp_path, rows, SOURCES)
    assert summary.scrubbed == {"emails": 2, "secrets": 1}
    assert list(data_manifest.iter_rows(tmp_path / ROWS)) == rows
    for said in ({"emails": 2}, {"emails": 2, "secrets": 2}, None):
        lie = summary.model_copy(update={"scrubbed": said})
        with pytest.raises(VerificationError, match="scrubbed"):
            data_manifest.verify(lie, tmp_path / ROWS)


PIECES = st.sampled_from(
    [
        *re.findall(r'"[^"]*"|[^"]', ALL_ROWS[2].to_bytes().decode()),
        *('"a.md"', '"a/../b"', r'"a\u0041"', '"é"', '"train"', '"validation"', '"excluded"', '"size"', "null"),
        *("0", "007", "1.0", "-1", "9007199254740992", '"near-duplicate"', '"cluster":', '"\x7f"', '"a b"', '"a."'),
        *(" ", "", "{", "\t"),
    ]
)


@given(st.integers(0, 3), st.lists(st.tuples(st.integers(0, 40), PIECES, st.integers(0, 3)), max_size=3))
def test_what_is_told_at_first_sight_is_what_the_strict_way_says(
    which: int, changes: list[tuple[int, str, int]]
) -> None:
    """Rows whose parts were exchanged, left out or written twice."""
    parts = re.findall(r'"[^"]*"|[^"]', ALL_ROWS[which].to_bytes().decode())
    for place, piece, gone in changes:
        parts[place : place + gone] = [piece]
    agrees("".join(parts).encode())


@given(st.integers(0, 3), st.integers(0, 230), st.binary(max_size=3), st.integers(0, 3))
def test_a_few_bytes_changed_are_told_alike(which: int, place: int, junk: bytes, gone: int) -> None:
    data = bytearray(ALL_ROWS[which].to_bytes())
    data[place : place + gone] = junk
    agrees(bytes(data))


@pytest.mark.parametrize(
    "more",
    [{"path": "a/" * 511 + "ab"}, {"path": "a/" * 512 + "a"}, {"bytes": 10**15 - 1}, {"bytes": 2**53 - 1},
     {"bytes": 2**53}, {"source": "~" * 500}, {"source": "~" * 501}, {"source": "a b/[c]"}, {"license": "A" * 501},
     {"path": "..a"}, {"path": "a..b"}, {"path": "-"}, {"path": "a/"}, {"path": "c:/a"}, {"sha256": "A" * 64}],
)  # fmt: skip
def test_bounds_are_told_alike(more: dict[str, Any]) -> None:
    agrees(json.dumps({**ALL_ROWS[0].as_json(), **more}, sort_keys=True, separators=(",", ":")).encode())


def agrees(line: bytes) -> None:
    """Where a line is told at first sight, it is a row, and the same one; and its end tells what it is used for."""
    told = PlainRow.of(line)
    if told is not None:
        found = Row.from_canonical(line, name="row")
        assert told == tuple(getattr(found, name) for name in PlainRow._fields)
    with suppress(Malformed):
        found = Row.from_canonical(line, name="row")
        assert list(iter_uses(io.BytesIO(line + b"\n"), "rows")) == [(found.use, found.sha256)]


@pytest.mark.parametrize("source", ['a"b', "a\\b", '","use":"train"}', "é"])
def test_what_a_row_is_used_for_is_told_whatever_its_texts_hold(source: str) -> None:
    agrees(row(source, 'a"sha256":"b', 3, "validation").to_bytes())


def test_rows_as_nearly_all_are_are_told_at_first_sight() -> None:
    assert [PlainRow.of(each.to_bytes()) is not None for each in ALL_ROWS] == [True, False, True, True]
    agrees(ALL_ROWS[2].to_bytes())


@given(st.binary())
def test_hostile_rows_raise_our_error_and_no_other(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("rows") / ROWS
    path.write_bytes(content)
    try:
        assert b"".join(row.to_bytes() + b"\n" for row in data_manifest.iter_rows(path)) == content
    except InputError as error:
        assert error.mend


JSON = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(st.sampled_from(sorted(Summary.model_fields)), JSON)
def test_a_hostile_summary_raises_our_error_and_no_other(field: str, value: object) -> None:
    alias = Summary.model_fields[field].alias or field
    said = {"schema": "glasshouse.data-manifest/v1", "algorithm": "rfc6962-sha256", alias: value}
    with pytest.raises(InputError):
        Summary.from_json(said, name=SUMMARY)


def test_more_bytes_than_json_can_count_do_not_hold(tmp_path: Path) -> None:
    summary = data_manifest.write(tmp_path, ALL_ROWS, SOURCES)
    huge = [row.model_copy(update={"size": 2**53 - 1}) for row in ALL_ROWS]
    lines = b"".join(row.to_bytes() + b"\n" for row in huge)
    (tmp_path / ROWS).write_bytes(lines)
    with pytest.raises(VerificationError, match="9007199254740991"):
        data_manifest.verify(summary.model_copy(update={"rows_sha256": sha256_bytes(lines)}), tmp_path / ROWS)
    with pytest.raises(InputError):
        data_manifest.write(tmp_path, huge, SOURCES)
