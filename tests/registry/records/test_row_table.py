"""registry.records.row_table: rows as a Parquet file, and what a stranger can put in one."""

import io
import re
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import sha256_file
from registry.errors import InputError, Malformed, Unavailable, VerificationError
from registry.merkle import RootBuilder, root
from registry.records import data_manifest, parquet_bounds, row_table
from registry.records.data_manifest import ROWS, TABLE, Summary
from registry.records.data_row import Row
from tests.registry.records.test_data_manifest import ALL_ROWS, SOURCES, row

MORE: dict[str, dict[str, Any]] = {
    "a": {"licenseBasis": "declared", "language": "en", "origin": 'https://example.org/"a"\\b'},
    "b": {"license": "NOASSERTION", "licenseBasis": "none", "use": "excluded", "reason": "license"},
    "c": {"original": {"sha256": "0" * 64, "bytes": 30}, "scrubbed": {"emails": 2}},
    "d": {"original": {"sha256": "0" * 64, "bytes": 30}, "scrubbed": {"secrets": 0}},
    "e": {"original": {"sha256": "1" * 64, "bytes": 0}, "scrubbed": {"emails": 1, "secrets": 3}, "language": "zh-Hant"},
    "f": {"use": "excluded", "reason": "near-duplicate", "cluster": "c" * 64},
    "g": {"use": "excluded", "reason": "contaminated", "overlap": {"passage": 'quiz/é"', "ngrams": 4}},
    "h": {"overlap": {"passage": "quiz", "ngrams": 2**53 - 1}, "use": "validation"},
    "i ü\U0001f600": {"bytes": 2**53 - 1000},
    "j": {"use": "excluded", "reason": "language", "language": "de"},
}
EVERY = [*ALL_ROWS[:2], *(row("pkg:pypi/a@1", path, 3, **{"use": "train", **more}) for path, more in MORE.items())]
"""Rows that say all that a row can say."""


def written(folder: Path, rows: list[Row] | None = None) -> tuple[Summary, Path]:
    return data_manifest.write(folder, rows or EVERY, SOURCES, "parquet"), folder / TABLE


def test_the_same_rows_have_one_root_in_both_forms(tmp_path: Path) -> None:
    summary, path = written(tmp_path / "table")
    lines = data_manifest.write(tmp_path / "lines", EVERY, SOURCES)
    leaves = [each.to_bytes() for each in EVERY]
    assert summary.root == lines.root == root(leaves)
    assert list(data_manifest.iter_leaves(path)) == leaves
    assert list(data_manifest.iter_rows(path)) == EVERY
    told = summary.as_json() | {"rowsSha256": lines.rows_sha256}
    assert told.pop("rowsFile") == summary.stored_in == TABLE and lines.stored_in == ROWS
    assert told == lines.as_json()
    for found, place in ((summary, path), (lines, tmp_path / "lines" / ROWS)):
        data_manifest.verify(found, place)


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy"])
def test_the_root_does_not_depend_on_how_parquet_is_written(tmp_path: Path, compression: str) -> None:
    summary, path = written(tmp_path)
    table = pq.read_table(path)
    pq.write_table(table, path, compression=compression, use_dictionary=["use"], data_page_size=100, version="1.0",
                   store_schema=False, write_statistics=False)  # fmt: skip
    data_manifest.verify(summary.model_copy(update={"rows_sha256": sha256_file(path)}), path)


def test_without_the_library_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary, path = written(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "registry.records.row_table")
    monkeypatch.delattr("registry.records.row_table")
    with pytest.raises(Unavailable) as found:
        data_manifest.verify(summary, path)
    assert found.value.mend == "pip install 'glasshouse[data]'"


def test_several_row_groups_are_one_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_table, "GROUP", 4)
    summary, path = written(tmp_path)
    assert pq.read_metadata(path).num_row_groups == 3
    assert summary.root == root([each.to_bytes() for each in EVERY])
    data_manifest.verify(summary, path)
    with pytest.raises(Malformed, match="does not follow"):
        written(tmp_path, [*EVERY[4:8], *EVERY[:4]])


def test_no_rows_are_a_table_too(tmp_path: Path) -> None:
    summary = data_manifest.write(tmp_path, [], SOURCES, "parquet")
    data_manifest.verify(summary, tmp_path / TABLE)
    assert list(data_manifest.iter_rows(tmp_path / TABLE)) == []


@given(st.lists(st.binary(max_size=3), max_size=70), st.integers(0, 7))
def test_leaves_that_are_added_together_are_the_same_tree(leaves: list[bytes], before: int) -> None:
    one, many = RootBuilder(), RootBuilder()
    for part in (leaves[:before], leaves[before:]):
        many.extend(part)
        for leaf in part:
            one.add(leaf)
    assert (many.root(), many.count) == (one.root(), one.count)


TEXTS = st.sampled_from([
    "train", "validation", "excluded", "license", "near-duplicate", "contaminated", "language", "none", "declared",
    "NOASSERTION", "MIT", "a" * 64, "A" * 64, "a" * 64 + "\n", "files:notes", "en", "EN", "", "a/../b", "a\\b", 'a"b',
    "é", "e\u0301", "x\x00", "x\x7f", "x" * 501, "é" * 500, "y" * 1025, "zh-Hant", "a.", "CON", "MIT\n",
    'MIT","use":"train',
])  # fmt: skip
NUMBERS = st.sampled_from([0, 1, -1, 2**53 - 1, 2**53, 2**63 - 1])
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(list(row_table.COLUMNS)), st.integers(0, len(EVERY) - 1), st.none() | TEXTS, st.none() | NUMBERS
    ),
    min_size=1,
    max_size=3,
)


@given(CHANGES)
def test_a_table_that_is_taken_is_one_of_rows(changes: list[tuple[str, int, str | None, int | None]]) -> None:
    """What the columns let pass, `Row` takes, too, and leaf by leaf; and the other way round, where rows ascend."""
    columns = {name: [each.read(one) for one in EVERY] for name, each in row_table.COLUMNS.items()}
    for name, place, text, number in changes:
        value = text if row_table.COLUMNS[name].type == row_table.TEXT else number
        if value is not None or not row_table.COLUMNS[name].required:
            columns[name][place] = value
    strict = [_row({name: values[place] for name, values in columns.items()}) for place in range(len(EVERY))]
    try:
        leaves = list(_leaves(columns))
    except Malformed:
        keys = [(one.source, one.path) for one in strict if one is not None]
        assert None in strict or keys != sorted(set(keys))
    else:
        assert [one and one.to_bytes() for one in strict] == leaves


def _leaves(columns: dict[str, list[Any]]) -> list[bytes]:
    file = io.BytesIO()
    pq.write_table(pa.table(columns, row_table.SCHEMA), file, store_schema=False, write_statistics=False,
                   use_dictionary=row_table.FEW)  # fmt: skip
    return _read(file.getvalue())


def _read(data: bytes) -> list[bytes]:
    return [leaf for group in row_table.groups_of(io.BytesIO(data)) for leaf in group.leaves.to_pylist()]


def _row(said: dict[str, Any]) -> Row | None:
    """What `Row` makes of what the columns say of one document."""
    overlap = {"passage": said.pop("overlapPassage"), "ngrams": said.pop("overlapNgrams")}
    original = {"sha256": said.pop("originalSha256"), "bytes": said.pop("originalBytes")}
    scrubbed = {kind: said.pop(f"scrubbed{kind.title()}") for kind in ("emails", "secrets")}
    nested = {"overlap": overlap, "original": original}
    told = {name: value for name, value in said.items() if value is not None}
    told |= {name: parts for name, parts in nested.items() if set(parts.values()) != {None}}
    told |= {"scrubbed": found} if (found := {kind: n for kind, n in scrubbed.items() if n is not None}) else {}
    try:
        return Row.from_json({"reason": None, **told}, name="row")
    except InputError:
        return None


@given(st.data())
def test_a_byte_changed_is_seen_and_ends_in_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("table")
    summary, path = written(folder)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(VerificationError, match="SHA-256"):
        data_manifest.verify(summary, path)
    signed = summary.model_copy(update={"rows_sha256": sha256_file(path)})
    try:
        data_manifest.verify(signed, path)  # a byte of the library's name may change and say nothing
    except VerificationError:
        return
    assert list(data_manifest.iter_rows(path)) == EVERY


def table_of(**options: Any) -> bytes:
    """EVERY, written otherwise."""
    columns = {name: [each.read(one) for one in EVERY] for name, each in row_table.COLUMNS.items()}
    file = io.BytesIO()
    given: dict[str, Any] = {"store_schema": False, "write_statistics": False, "use_dictionary": row_table.FEW}
    pq.write_table(pa.table(columns, row_table.SCHEMA), file, **given | options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"PAR1" + b"\xff" * 8, "footer"),
        (b"PAR1" + bytes(20) + b"\xff\xff\xff\x7fPAR1", "footer of 2147483647 bytes"),
        (b"PAR1" + bytes(20) + b"\x08\x00\x00\x00PAR1", "its footer does not end"),
        (table_of(store_schema=True), "more than one that is written here: field 5"),
        (table_of(use_dictionary=True), "a dictionary where none is expected"),
        (table_of(write_statistics=True), "more than one that is written here: field 12"),
        (table_of(data_page_version="2.0"), "another kind or encoding"),
        (table_of(column_encoding={"path": "DELTA_BYTE_ARRAY"}), "another kind or encoding"),
        (table_of(column_encoding={"bytes": "BYTE_STREAM_SPLIT"}), "another kind or encoding"),
        (table_of(write_page_checksum=True), "another kind or encoding"),
        (table_of(row_group_size=4), "a row group does not have"),
        (table_of()[:-60] + table_of()[-50:], "not a (table|Parquet file)"),
    ],
)
def test_a_file_that_is_not_as_it_is_written_here_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        _read(content)


def test_other_columns_are_refused() -> None:
    for table in (pa.table({"path": ["a"]}), pa.table({**{name: ["a"] for name in row_table.COLUMNS}, "more": ["a"]})):
        file = io.BytesIO()
        pq.write_table(table, file, store_schema=False)
        with pytest.raises(Malformed, match="its footer has a list of"):
            _read(file.getvalue())


def test_a_small_file_that_would_be_a_large_one_is_not_unpacked() -> None:
    """A dictionary of one huge text that every row means, and a page that says that it has gigabytes."""
    huge = {name: [each.read(EVERY[0])] * 8 for name, each in row_table.COLUMNS.items()} | {
        "license": ["x" * 200_000] * 8
    }
    with pytest.raises(Malformed, match="the column license holds"):
        _leaves(huge)
    pages = io.BytesIO(bytes.fromhex("1500 15feffffff0f 1502 2c 1520 1500 1506 1506 00 00".replace(" ", "")) + b"x")
    with pytest.raises(Malformed, match="more than 1000 bytes"):
        parquet_bounds.check_pages(pages, 0, len(pages.getvalue()), rows=16, few=False, max_bytes=1000)


def test_no_footer_that_is_let_through_ends_the_process() -> None:
    """pyarrow throws where nobody can catch it: for a histogram of another size, in one of those it writes itself."""
    content, refused = table_of(), 0
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    lists = [at for at in range(begin, len(content) - 8) if content[at] in (0x19, 0x29)]  # fields, by the step to them
    for at in lists:
        try:
            _read(content[:at] + bytes([content[at] ^ 0x30]) + content[at + 1 :])
        except Malformed:
            refused += 1
    assert refused > len(lists) / 2


def test_one_place_is_not_read_twice() -> None:
    """A footer that says of every column that it is where another one is; and pages without a value."""
    content = table_of(use_dictionary=False, compression="none")
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0)
    first, second = (chunk.column(place).data_page_offset for place in (6, 7))
    twice = content.replace(zigzag(second), zigzag(first))
    assert twice != content and pq.read_metadata(io.BytesIO(twice)).row_group(0).column(7).data_page_offset == first
    with pytest.raises(Malformed, match="lie in one place"):
        _read(twice)
    empty = bytes.fromhex("150015001500 2c 1500 1500 1506 1506 00 00") * (parquet_bounds.MAX_PAGES + 1)
    with pytest.raises(Malformed, match="more than 1024 pages"):
        parquet_bounds.check_pages(io.BytesIO(empty), 0, len(empty), rows=16, few=False, max_bytes=1000)


def zigzag(number: int) -> bytes:
    """As Thrift's compact protocol writes it, after the type of the field."""
    value, found = number << 1, bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return b"\x26" + bytes([*found, value])


@given(st.binary(max_size=40), st.integers(0, 100))
def test_hostile_pages_raise_our_error_and_no_other(data: bytes, size: int) -> None:
    try:
        whole = parquet_bounds.check_pages(io.BytesIO(data), 0, size, rows=16, few=True, max_bytes=1000)
    except Malformed as error:
        assert error.mend
    else:
        assert whole <= 1000


@given(st.data())
def test_hostile_tables_raise_our_error_and_no_other(data: st.DataObject) -> None:
    content = bytearray(table_of())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        leaves = _read(bytes(content))
    except Malformed as error:
        assert error.mend and re.search("not a (table|Parquet file)", error.message)
    else:
        assert all(Row.from_canonical(leaf, name="row") for leaf in leaves)
