"""documents.parquet: the documents that are used, with their texts. The same documents give the same bytes.

Columns, all strings: id (SHA-256 of the text's bytes), source, path, license, use ("train" or "validation"), text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from registry.errors import InputError
from registry.records.data_manifest import DOCUMENTS
from registry.records.data_row import Row

NAME = DOCUMENTS
GROUP_BYTES = 2 << 20
"""A row group is closed once it holds so many bytes of text: what one reader holds in memory, and one worker's task."""
GROUP_ROWS = 10_000
COLUMNS = ("id", "source", "path", "license", "use", "text")


class Text(NamedTuple):
    """A document as a later stage needs it."""

    sha256: str
    """SHA-256 of the text's bytes."""
    use: str
    """Which split it belongs to: train or validation."""
    text: str
    """The text."""


class Writer:
    """Writes documents in the order given. A context manager: the file is whole once the block has ended."""

    def __init__(self, path: Path) -> None:
        self._schema = _schema(COLUMNS)
        # All that decides bytes is said here, not left to defaults; Arrow's own schema would be stored a second time.
        self._file = pq.ParquetWriter(
            path, self._schema, version="2.6", compression="zstd", compression_level=3, use_dictionary=["source",
            "license", "use"], write_statistics=False, data_page_version="1.0", store_schema=False,
        )  # fmt: skip
        self._rows: list[tuple[str, ...]] = []
        self._size = 0

    def add(self, row: Row, data: bytes) -> None:
        """Append a document. `data` is UTF-8."""
        self._rows.append((row.sha256, row.source, row.path, row.license, row.use, data.decode("utf-8")))
        self._size += len(data)
        if self._size >= GROUP_BYTES or len(self._rows) >= GROUP_ROWS:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [pa.array(column, pa.string()) for column in zip(*self._rows, strict=True)]
            self._file.write_table(pa.table(columns, schema=self._schema), row_group_size=len(self._rows))
            self._rows, self._size = [], 0


def groups(path: Path) -> int:
    """How many row groups the file at `path` has. Raises InputError where it is another file."""
    with _readable(path), pq.ParquetFile(path) as file:
        return int(file.num_row_groups)


def read_groups(path: Path) -> Iterator[list[Text]]:
    """The documents of each row group, in order, one group in memory at a time.

    Raises InputError where the file is not what `Writer` writes.
    """
    names = ["id", "use", "text"]
    with _readable(path), pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=names, use_threads=False).cast(_schema(names))
            yield [Text(*row) for row in zip(*(table.column(name).to_pylist() for name in names), strict=True)]


def read(path: Path) -> Iterator[Text]:
    """All documents, in order. Memory and errors are those of `read_groups`."""
    for group in read_groups(path):
        yield from group


def _schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([pa.field(name, pa.string(), nullable=False) for name in names])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as problem:
        raise InputError(
            f"{path} is not what the corpus stage writes: {problem}", mend="dvc repro -f corpus"
        ) from problem
