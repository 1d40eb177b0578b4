"""pipelines.corpus.tables: rows of local files as documents, and bad input told by file and row."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.corpus import tables
from pipelines.corpus.build import write
from pipelines.corpus.project import ProjectReader
from pipelines.corpus.tables import TableReader
from pipelines.params import Files, Params, RowFiles
from registry.errors import GlasshouseError, InputError
from registry.records.data_manifest import verify
from tests.pipelines.small_project import params

ROWS: list[dict[str, Any]] = [
    {"text": "one, with a comma", "terms": "mit"},
    {"text": 'two\n"lines"', "terms": "CC0-1.0"},
    {"text": "zwölf", "terms": "of my own"},
]


def wanted(*include: str, **changed: Any) -> RowFiles:
    given = {
        "kind": "rows",
        "name": "rows",
        "include": include,
        "url": "https://example.org/",
        "license_column": "terms",
    }
    return RowFiles(**{**given, **changed})


def documents(root: Path, *include: str, **changed: Any) -> list[tuple[str, str, str]]:
    found = TableReader(wanted(*include, **changed), root).documents(1000)
    return [(each.path, each.license, (each.data or b"").decode()) for each in found]


def write_tables(root: Path) -> None:
    """The same rows in each form there is."""
    (root / "rows.jsonl").write_text("\ufeff" + "".join(f"{json.dumps(row)}\n\n" for row in ROWS), encoding="utf-8")
    with (root / "rows.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.DictWriter(stream, ("text", "terms"))
        writer.writeheader()
        writer.writerows(ROWS)
    pq.write_table(pa.Table.from_pylist(ROWS), root / "rows.parquet", row_group_size=2)


def test_each_form_gives_the_same_documents(tmp_path: Path) -> None:
    write_tables(tmp_path)
    for name in ("rows.jsonl", "rows.csv", "rows.parquet"):
        assert documents(tmp_path, name) == [
            (f"{name}/000000000000", "MIT", "one, with a comma"),
            (f"{name}/000000000001", "CC0-1.0", 'two\n"lines"'),
            (f"{name}/000000000002", "NOASSERTION", "zwölf"),
        ]
    assert len(documents(tmp_path, "*.*", license="MIT", license_column=None)) == 9


def test_a_corpus_of_rows_holds_together(tmp_path: Path) -> None:
    rows = [{"text": f"Row {number} of a table of rows", "terms": "MIT"} for number in range(40)]
    (tmp_path / "a").mkdir()
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows[:20]))
    (tmp_path / "a/b.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows[20:]))
    source = {"kind": "rows", "name": "x", "include": ["**/*.jsonl"], "license_column": "terms", "url": "https://a.b/"}
    corpus = {**params()["corpus"], "sources": [source]}
    summary = write(Params.model_validate_json(json.dumps(params(corpus=corpus))), tmp_path, tmp_path / "out")
    assert summary.splits.train.documents + summary.splits.validation.documents == 40
    verify(summary, tmp_path / "out/data-manifest.jsonl")


def test_without_a_licence_the_mend_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "long enough to be taken", "terms": ""}\n')
    source = {"kind": "rows", "name": "x", "include": ["*.jsonl"], "license_column": "terms", "url": "https://a.b/"}
    corpus = {**params()["corpus"], "sources": [source]}
    with pytest.raises(InputError, match="no document is left") as problem:
        write(Params.model_validate_json(json.dumps(params(corpus=corpus))), tmp_path, tmp_path / "out")
    assert "licence of each source" in problem.value.mend


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b'{"text": "x", "terms": "MIT"}\n{"text": }\n', "a.jsonl .*line 2: "),
        ("a.jsonl", b"[1]\n", "line 1: it is a JSON value of type list"),
        ("a.jsonl", b'\n{"text": "\xff"}\n', "line 2 is not UTF-8"),
        ("a.jsonl", b"[" * 100_000, "line 1"),
        ("a.jsonl", b'{"text": 5, "terms": "MIT"}', "a.jsonl, row 1: column 'text' holds a value of type int"),
        ("a.jsonl", b'{"terms": "MIT"}', "a.jsonl, row 1 has no column 'text'; it has terms"),
        ("a.jsonl", b'{"text": [{"role": "user", "content": "x"}], "terms": "MIT"}', "holds a chat"),
        ("a.jsonl", b"\n\n", "has no rows"),
        ("a.csv", b"", "has no rows"),
        ("a.csv", b"text,terms\n", "has no rows"),
        ("a.csv", b"text,terms\none,MIT\ntwo\n", "line 3: it has 1 fields"),
        ("a.csv", b'text,terms\none,MIT\n"two,MIT\n', "line 3: unexpected end of data"),
        ("a.csv", b"text,terms\n\xff,MIT\n", "is not UTF-8"),
        ("a.csv", b"body,terms\none,MIT\n", "row 1 has no column 'text'; it has body, terms"),
        ("a.parquet", b"", "a.parquet cannot be taken"),
        ("a.parquet", b"PAR1" * 10, "a.parquet cannot be taken"),
        ("a.txt", b"text", "ends in none of .jsonl, .csv, .parquet"),
    ],
)  # fmt: skip
def test_bad_input_is_told_by_file_and_row(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        documents(tmp_path, name)


def test_a_column_of_numbers_in_parquet_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet, row 1: column 'text' holds a value of type int"):
        documents(tmp_path, "a.parquet", license="MIT", license_column=None)


def test_tables_are_no_texts_and_links_no_tables(tmp_path: Path) -> None:
    write_tables(tmp_path)
    files = Files(kind="files", name="a", include=("*.csv",), license="MIT", url="https://example.org/")
    with pytest.raises(InputError, match=r"rows.csv is a table") as problem:
        list(ProjectReader(files, tmp_path).documents(1000))
    assert "kind rows" in problem.value.mend
    (tmp_path / "link.jsonl").symlink_to("rows.jsonl")
    with pytest.raises(InputError, match="leads through a link"):
        documents(tmp_path, "link.jsonl")


@given(data=st.binary(max_size=300), read=st.sampled_from(sorted(tables.READERS)))
def test_any_bytes_are_rows_or_bad_input(data: bytes, read: str) -> None:
    try:
        rows = list(tables.READERS[read](io.BytesIO(data), "file"))
    except GlasshouseError as problem:
        assert "file" in problem.message
    else:
        assert all(isinstance(row, dict) for row in rows)


@given(st.lists(st.dictionaries(st.sampled_from(["text", "terms"]), st.text(max_size=20)), max_size=5))
def test_rows_come_back_as_they_were_written(rows: list[dict[str, str]]) -> None:
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    assert list(tables.READERS[".jsonl"](io.BytesIO(data), "file")) == rows
