"""Files of this project whose rows are documents: JSON lines, CSV and parquet.

A file is read row by row, or by a row group of parquet: memory holds no more. Whatever is amiss is an InputError that
names the file and the row.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.corpus import licences
from pipelines.corpus.chat import ChatTemplate
from pipelines.corpus.columns import documents_of
from pipelines.corpus.documents import Document, opened
from pipelines.corpus.project import TABLES, selected
from pipelines.params import RowFiles
from registry.errors import InputError
from registry.records.data_manifest import DataSource

if TYPE_CHECKING:
    from _csv import Reader as CsvRows

MAX_ROW = 64 << 20
"""The most bytes of a line of JSON, and the most characters of a field of CSV."""
BATCH = 1000
"""Rows of parquet at once."""

Row = Mapping[str, Any]
Read = Callable[[BinaryIO, str], Generator[Row, None, None]]


@dataclass(frozen=True, slots=True)
class TableReader:
    """Reads the rows that `wanted` names below `root`."""

    wanted: RowFiles
    """What params.yaml asks for."""
    root: Path
    """The project's root."""
    chat: ChatTemplate | None = None
    """Writes chats."""

    @property
    def source(self) -> DataSource:
        """How the manifest describes it. Raises InputError for a licence that SPDX does not know."""
        wanted = self.wanted
        stated = licences.required(wanted.license, f"the licence of {wanted.id}") if wanted.license else None
        return DataSource(id=wanted.id, kind="files", license=stated, url=wanted.url, status=wanted.status)

    def documents(self, max_bytes: int) -> Iterator[Document]:
        """The rows as documents named FILE/NUMBER, file by file. Raises InputError for a file without rows."""
        paths = selected(self.root, self.wanted.include, self.wanted.exclude, self.wanted.id)
        for path in sorted(paths, key=lambda path: f"{path}/"):
            read, some = reader_of(path), False
            with opened(self.root, path) as stream, closing(read(stream, path)) as rows:
                for document in documents_of(rows, self.wanted, path, path, self.chat):
                    some = True
                    yield document
            if not some:
                _refuse(path, "it has no rows")


def reader_of(path: str) -> Read:
    for suffix, read in READERS.items():
        if path.endswith(suffix):
            return read
    _refuse(path, f"its name ends in none of {', '.join(READERS)}")


def _json_lines(stream: BinaryIO, path: str) -> Generator[Row, None, None]:
    """An object a line; a blank line is not a row."""
    number = 0
    while line := stream.readline(MAX_ROW + 1):
        number += 1
        with _told(path, number):
            if len(line) > MAX_ROW:
                raise ValueError(f"it is longer than the {MAX_ROW} bytes allowed")
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            row = json.loads(text) if text.strip() else {}
            if not isinstance(row, dict):
                raise ValueError(f"it is a JSON value of type {type(row).__name__}, not an object")
        if text.strip():
            yield row


def _csv(stream: BinaryIO, path: str) -> Generator[Row, None, None]:
    """The first line names the columns; fields in quotes may hold lines and commas."""
    csv.field_size_limit(MAX_ROW)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        rows = csv.reader(text, strict=True)
        names: list[str] | None = None
        while (fields := _fields(rows, path, names)) is not None:
            if names is None:
                names = fields
            elif fields:
                yield dict(zip(names, fields, strict=True))
    finally:
        text.detach()  # or it would close what it did not open


def _fields(rows: CsvRows, path: str, names: list[str] | None) -> list[str] | None:
    """The fields of the next row, none for a blank line; None at the end."""
    with _told(path, rows.line_num + 1):
        fields = next(rows, None)
        if fields and names is not None and len(fields) != len(names):
            raise ValueError(f"it has {len(fields)} fields, and the first line names {len(names)} columns")
    return fields


def _parquet(stream: BinaryIO, path: str) -> Generator[Row, None, None]:
    """The rows of a parquet file."""
    number = 0
    with _told(path, None):
        batches = pq.ParquetFile(stream).iter_batches(batch_size=BATCH, use_threads=False)
    while True:
        with _told(path, number + 1, "row"):
            if (batch := next(batches, None)) is None:
                return
            rows = batch.to_pylist()
        number += len(rows)
        yield from rows


READERS: Mapping[str, Read] = dict(zip(TABLES, (_json_lines, _csv, _parquet), strict=True))
"""How the rows of a file are read, by how its name ends."""


@contextmanager
def _told(path: str, line: int | None, unit: str = "line") -> Iterator[None]:
    """Within: what a reader raises is an InputError that names the place in the file."""
    try:
        yield
    except UnicodeDecodeError as problem:
        _refuse(path, f"{unit} {line} is not UTF-8 text: {problem.reason}")
    except (ValueError, RecursionError, csv.Error, OSError, pa.ArrowException) as problem:
        _refuse(path, f"{unit} {line}: {problem}" if line else str(problem))


def _refuse(path: str, found: str) -> NoReturn:
    raise InputError(f"{path} cannot be taken into the corpus: {found}"[:1000], mend=f"mend {path}, or exclude it")
