"""Rows as bytes, and back: tables of Arrow, whose types are checked and which nothing executes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from typing import Any

import pyarrow as pa

from registry.errors import InputError, Malformed


def written(rows: Iterable[tuple[Any, ...]], schema: pa.Schema) -> bytes:
    """The rows, each as long as `schema`. Raises InputError for text that is not Unicode."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    try:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    except UnicodeEncodeError as problem:
        raise InputError(f"a source says what is not Unicode: {problem}"[:500], mend="mend its row") from problem
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read(data: bytes, schema: pa.Schema) -> list[pa.Array]:
    """The columns that `written` wrote. Raises Malformed for other bytes."""
    try:
        with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
            table = reader.read_all()
        if table.schema != schema:
            raise ValueError(f"its columns are {', '.join(table.schema.names)}"[:300])
        table.validate(full=True)
    except (ValueError, OSError, pa.ArrowException) as problem:
        raise Malformed(f"a shard is not as it was written: {problem}"[:500], mend="run the stage again") from problem
    return [column.combine_chunks() for column in table.columns]


class _NoPandas(MetaPathFinder):
    """A place to look for modules, where pandas is said to be missing."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Raise ImportError for pandas; nothing is known of other modules."""
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def without_pandas() -> None:
    """Have pyarrow load no pandas in this process, which takes a third of a second, unless it is asked for a frame.

    It looks once whether there is pandas, of whose making that may be what it makes an array of. For processes that
    only work on shards.
    """
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, finder := _NoPandas())
        try:
            pa.array([], pa.int8())
        finally:
            sys.meta_path.remove(finder)
