"""Rows of a data manifest as a table in a Parquet file: a column for each thing that a row can say.

Every row group has GROUP rows, but for the last: so each is a whole subtree of the Merkle tree, and the next is read
while one is hashed. Memory: two row groups.

Laws: the leaves of a table are those of the rows that were written, whatever wrote the Parquet; a table that is read is
one whose every leaf `Row.from_canonical` takes. Both are reached without making a `Row`: a column is judged at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, NoReturn, Self, get_args

from registry import canonical
from registry.errors import Malformed
from registry.extras import needed
from registry.manifest import MAX_PATH_BYTES, PLAIN, check_path
from registry.records import parquet_bounds, parquet_footer
from registry.records.data_row import (
    ID,
    LANGUAGE,
    LICENCE,
    NO_LICENCE,
    CountedKind,
    LicenceBasis,
    Reason,
    Row,
    Scrubbed,
    Use,
)
from registry.records.row_lines import MAX_ROWS, MEND

with needed("data"):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

GROUP = 1 << 14
"""Rows of a row group."""
MAX_GROUPS = -(-MAX_ROWS // GROUP)
MAX_GROUP_BYTES = 128 << 20
"""Bytes of a row group that is not compressed. A row has at most 8 kB."""
MAX_FOOTER = 64 << 20
LEVEL = 1
"""How hard zstd tries: most of a row is its digest, which does not get shorter."""


class Column(NamedTuple):
    """One column."""

    type: Any
    """Its type."""
    read: Callable[[Row], Any]
    """What a row says there; None for nothing."""
    required: bool = False
    """Whether every row says something."""
    values: re.Pattern[str] | None = None
    """What its texts are, of which a file has few, each many times; None for others."""


def _of(*names: str) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, names)))


TEXT, NUMBER = pa.string(), pa.int64()
COLUMNS: dict[str, Column] = {
    "source": Column(TEXT, lambda row: row.source, True, re.compile(ID)),
    "path": Column(TEXT, lambda row: row.path, True),
    "origin": Column(TEXT, lambda row: row.origin),
    "sha256": Column(TEXT, lambda row: row.sha256, True),
    "bytes": Column(NUMBER, lambda row: row.size, True),
    "license": Column(TEXT, lambda row: row.license, True, re.compile(LICENCE)),
    "licenseBasis": Column(TEXT, lambda row: row.license_basis, False, _of(*get_args(LicenceBasis))),
    "language": Column(TEXT, lambda row: row.language, False, re.compile(LANGUAGE)),
    "use": Column(TEXT, lambda row: row.use, True, _of(*get_args(Use))),
    "reason": Column(TEXT, lambda row: row.reason, False, _of(*get_args(Reason))),
    "cluster": Column(TEXT, lambda row: row.cluster),
    "overlapPassage": Column(TEXT, lambda row: row.overlap and row.overlap.passage),
    "overlapNgrams": Column(NUMBER, lambda row: row.overlap and row.overlap.ngrams),
    "originalSha256": Column(TEXT, lambda row: row.original and row.original.sha256),
    "originalBytes": Column(NUMBER, lambda row: row.original and row.original.size),
    "scrubbedEmails": Column(NUMBER, lambda row: row.scrubbed and row.scrubbed.get("emails")),
    "scrubbedSecrets": Column(NUMBER, lambda row: row.scrubbed and row.scrubbed.get("secrets")),
}
"""By name."""
SCHEMA = pa.schema([pa.field(name, each.type, nullable=not each.required) for name, each in COLUMNS.items()])
FOOTER = parquet_footer.shape(
    [parquet_footer.FlatColumn(each.type == TEXT, each.required) for each in COLUMNS.values()], MAX_GROUPS
)
FEW = [name for name, each in COLUMNS.items() if each.values is not None]
_FOUND = pa.schema(
    [field.with_type(pa.dictionary(pa.int32(), TEXT)) if field.name in FEW else field for field in SCHEMA]
)
"""As it is read: of texts that stand there many times, each once."""
Array = Any
"""An array of Arrow."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows that follow one another, and hold."""

    leaves: Array
    """The leaf of each."""
    first: tuple[str, str]
    """(source, path) of the first."""
    last: tuple[str, str]
    """(source, path) of the last."""
    uses: Array
    """What each is used for."""
    digests: Array
    """SHA-256 of each."""
    counts: tuple[tuple[CountedKind, int, int, dict[Scrubbed, int]], ...]
    """(kind, documents, bytes, how often something was replaced in them) of each kind."""


class TableWriter:
    """Writes a table, row by row. The file is whole when the block ends without an error."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(
            path, SCHEMA, version="2.6", compression="zstd", compression_level=LEVEL, use_dictionary=FEW,
            write_statistics=False, data_page_version="1.0", store_schema=False,
        )  # fmt: skip

    def add(self, rows: Sequence[Row]) -> RowGroup:
        """Append GROUP rows, or fewer as the last. Raises Malformed for rows that do not ascend."""
        columns = [pa.array([each.read(row) for row in rows], each.type) for each in COLUMNS.values()]
        table = pa.table(columns, schema=SCHEMA)
        group = _group({name: table.column(name).combine_chunks() for name in COLUMNS}, 0)
        self._file.write_table(table, row_group_size=GROUP)
        return group

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def groups(path: Path) -> Iterator[RowGroup]:
    """The row groups of the file at `path`, in order. Raises Malformed for a file that is not a table of rows."""
    with path.open("rb") as stream:
        yield from groups_of(stream)


def groups_of(stream: BinaryIO) -> Iterator[RowGroup]:
    """`groups` of the file that is open as `stream`."""
    with _library():
        parquet_bounds.check_footer(stream, MAX_FOOTER, FOOTER)
        file = pq.ParquetFile(
            stream, read_dictionary=FEW, pre_buffer=False, thrift_string_size_limit=MAX_FOOTER,
            thrift_container_size_limit=max(MAX_GROUPS, 4096),
        )  # fmt: skip
        _check_shape(file)
    count = file.num_row_groups
    with ThreadPoolExecutor(1) as pool:
        following = [pool.submit(_read, file, stream, number) for number in range(min(count, 1))]
        for number in range(count):
            group = following.pop().result()
            if number + 1 < count:
                following.append(pool.submit(_read, file, stream, number + 1))
            yield group


def _check_shape(file: Any) -> None:
    """Refuse another schema, and row groups of other sizes."""
    if not file.schema_arrow.equals(_FOUND) or len(file.metadata.schema) != len(COLUMNS):
        _refuse("its columns are not those of a data manifest")
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    if len(sizes) > MAX_GROUPS or sum(sizes) != file.metadata.num_rows:
        _refuse(f"it has {len(sizes)} row groups, or says another number of rows than they have")
    if any(size != GROUP for size in sizes[:-1]) or not all(0 < size <= GROUP for size in sizes[-1:]):
        _refuse(f"a row group does not have {GROUP} rows")
    end = 0
    for number in range(file.num_row_groups):
        for place in range(len(COLUMNS)):
            start, size = _place(file.metadata.row_group(number).column(place))
            if start < end or size < 0:
                _refuse("two columns of it lie in one place, so that a small file could be read as a large one")
            end = start + size


def _place(chunk: Any) -> tuple[int, int]:
    """Where the pages of a column of a row group begin, and how many bytes they have."""
    offsets = [chunk.data_page_offset, *([chunk.dictionary_page_offset] if chunk.has_dictionary_page else [])]
    return min(offsets), chunk.total_compressed_size


def _read(file: Any, stream: Any, number: int) -> RowGroup:
    """The row group of that number. Nothing of it is read before its pages are known to be of a bounded size."""
    with _library():
        found, left, names = file.metadata.row_group(number), MAX_GROUP_BYTES, list(COLUMNS)
        for place in range(len(COLUMNS)):
            start, size = _place(found.column(place))
            left -= parquet_bounds.check_pages(
                stream, start, size, rows=found.num_rows, few=names[place] in FEW, max_bytes=left
            )
        table = file.read_row_group(number, use_threads=False)
        table.validate(full=True)
        columns = {name: table.column(name).unify_dictionaries().combine_chunks() for name in COLUMNS}
        return _group(columns, number * GROUP)


def _group(columns: dict[str, Array], before: int) -> RowGroup:
    """The rows in `columns`, which hold. before: how many rows stand above them."""
    for name, column in COLUMNS.items():
        if column.values is not None and pa.types.is_dictionary(columns[name].type):
            columns[name] = _decoded(name, column.values, columns[name])
    _check_values(columns, before)
    _check_sense(columns, before)
    _check_order(columns, before)
    keys = columns["source"], columns["path"]
    first, last = ((keys[0][at].as_py(), keys[1][at].as_py()) for at in (0, -1))
    return RowGroup(_leaves(columns), first, last, columns["use"], columns["sha256"], _counts(columns))


def _decoded(name: str, values: re.Pattern[str], array: Array) -> Array:
    """The texts themselves. Each of the dictionary is looked at, so that a long one is not repeated."""
    for text in array.dictionary.to_pylist():
        if text is None or values.fullmatch(text) is None:
            _refuse(f"the column {name} holds {str(text)[:80]!r}")
    return array.dictionary_decode()


def _check_values(columns: dict[str, Array], before: int) -> None:
    """Each value by itself is one that `Row` allows in its place."""
    for name, column in COLUMNS.items():
        array = columns[name]
        if array.null_count == len(array):
            continue
        if column.type == NUMBER:
            least = 1 if name == "overlapNgrams" else 0
            good = pc.and_(pc.greater_equal(array, least), pc.less_equal(array, canonical.MAX_SAFE_INTEGER))
        elif name in ("sha256", "cluster", "originalSha256"):
            good = pc.match_substring_regex(array, r"\A[0-9a-f]{64}\z")
        elif name == "path":
            _check_paths(array)
            continue
        elif name in ("origin", "overlapPassage"):
            length = pc.utf8_length(array)
            good = pc.and_(pc.and_(pc.greater(length, 0), pc.less_equal(length, 500)),
                           pc.invert(pc.match_substring_regex(array, r"[\x00-\x1f\x7f]")))  # fmt: skip
        else:
            continue  # looked at where it was decoded
        _demand(good, f"the column {name} holds what it cannot", before)


def _check_paths(paths: Array) -> None:
    plain = pc.and_(
        pc.match_substring_regex(paths, rf"\A{PLAIN.pattern}\z"), pc.less_equal(pc.binary_length(paths), MAX_PATH_BYTES)
    )
    for path in paths.filter(pc.invert(plain)).to_pylist():
        check_path(path)


def _check_sense(columns: dict[str, Array], before: int) -> None:
    """The values of a row agree, as `Row` asks."""
    is_set = {name: pc.is_valid(array) for name, array in columns.items()}
    reason = pc.fill_null(columns["reason"], "")
    basis = columns["licenseBasis"]
    unknown = pc.equal(columns["license"], NO_LICENCE)
    replaced = pc.or_(is_set["scrubbedEmails"], is_set["scrubbedSecrets"])

    def where(name: str) -> Array:
        return pc.equal(reason, name)

    for words, good in (
        ("a cluster", pc.equal(where("near-duplicate"), is_set["cluster"])),
        ("an overlap", pc.equal(is_set["overlapPassage"], is_set["overlapNgrams"])),
        ("a contamination", pc.or_(pc.invert(where("contaminated")), is_set["overlapPassage"])),
        ("a language", pc.or_(pc.invert(where("language")), is_set["language"])),
        ("an original", pc.equal(is_set["originalSha256"], is_set["originalBytes"])),
        ("a replacement", pc.equal(is_set["originalSha256"], replaced)),
        ("a use", pc.equal(pc.equal(columns["use"], "excluded"), is_set["reason"])),
        ("the basis of a licence", pc.fill_null(pc.equal(pc.equal(basis, "none"), unknown), True)),
    ):
        _demand(good, f"{words} is told by halves, or stands against the rest", before)


def _check_order(columns: dict[str, Array], before: int) -> None:
    """(source, path) ascends, and stands nowhere twice."""
    size = len(columns["path"])
    (source, after), (path, below) = ((columns[name][: size - 1], columns[name][1:]) for name in ("source", "path"))
    good = pc.or_(pc.less(source, after), pc.and_(pc.equal(source, after), pc.less(path, below)))
    _demand(good, "the next one's source and path do not follow its own", before)


def _demand(good: Array, words: str, before: int) -> None:
    if pc.min(good).as_py() is False:
        _refuse(f"row {before + 1 + pc.index(good, False).as_py()}: {words}")


def _leaves(columns: dict[str, Array]) -> Array:
    """The leaf of each row. No text in it has a character that JSON escapes, but for quotes and backslashes."""

    def text(name: str) -> Array:
        array = columns[name]
        if name in ("source", "origin", "path", "overlapPassage"):
            array = pc.replace_substring(pc.replace_substring(array, "\\", "\\\\"), '"', '\\"')
        return _joined('"', array, '"')

    def number(name: str) -> Array:
        return pc.cast(columns[name], pa.string())

    def given(name: str, *parts: Array | str, by: str | None = None) -> list[Array]:
        """What stands there of a field that is left out where there is nothing to say."""
        array = columns[by or name]
        return [] if array.null_count == len(array) else [pc.fill_null(_joined(f',"{name}":', *parts), "")]

    scrubbed: list[Array] = []
    if columns["originalBytes"].null_count < len(columns["path"]):
        emails, secrets = columns["scrubbedEmails"], columns["scrubbedSecrets"]
        both = pc.and_(pc.is_valid(emails), pc.is_valid(secrets))
        found = _joined(
            pc.fill_null(_joined('"emails":', number("scrubbedEmails")), ""),
            pc.if_else(both, ",", ""),
            pc.fill_null(_joined('"secrets":', number("scrubbedSecrets")), ""),
        )
        scrubbed = [pc.if_else(pc.equal(found, ""), "", _joined(',"scrubbed":{', found, "}"))]
    return pc.cast(_joined(
        '{"bytes":', number("bytes"),
        *given("cluster", text("cluster")),
        *given("language", text("language")),
        ',"license":', text("license"),
        *given("licenseBasis", text("licenseBasis")),
        *given("origin", text("origin")),
        *given("original", '{"bytes":', number("originalBytes"), ',"sha256":', text("originalSha256"), "}",
               by="originalBytes"),
        *given("overlap", '{"ngrams":', number("overlapNgrams"), ',"passage":', text("overlapPassage"), "}",
               by="overlapNgrams"),
        ',"path":', text("path"),
        ',"reason":', pc.fill_null(text("reason"), "null"),
        *scrubbed,
        ',"sha256":', text("sha256"), ',"source":', text("source"), ',"use":', text("use"), "}",
    ), pa.binary())  # fmt: skip


def _joined(*parts: Array | str) -> Array:
    """The parts of each row, one after the other; null where one of them is."""
    return pc.binary_join_element_wise(*parts, "")


def _counts(columns: dict[str, Array]) -> tuple[tuple[CountedKind, int, int, dict[Scrubbed, int]], ...]:
    """The rows of each kind."""
    keys = ["source", "license", "use", "reason", "licenseBasis", "language"]
    sums = ["bytes", "scrubbedEmails", "scrubbedSecrets"]
    exact = {name: pc.cast(columns[name], pa.decimal128(38)) for name in sums}  # a sum of integers could overflow
    table = pa.table({**{name: columns[name] for name in keys}, **exact})
    found = table.group_by(keys, use_threads=False).aggregate([*((name, "sum") for name in sums), ("bytes", "count")])
    return tuple(
        (
            CountedKind(*(row[name] for name in keys)), row["bytes_count"], int(row["bytes_sum"]),
            {kind: int(row[f"scrubbed{kind.title()}_sum"] or 0) for kind in get_args(Scrubbed)},
        )
        for row in found.to_pylist()
    )  # fmt: skip


@contextmanager
def _library() -> Iterator[None]:
    """Within: what the library raises at a file is Malformed."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError, pa.ArrowException) as problem:
        if isinstance(problem, Malformed):
            raise
        _refuse(str(problem)[:300])


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a table of a data manifest: {found}", mend=MEND)
