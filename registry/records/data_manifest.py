"""The data manifest: a row for every document that was met, and one Merkle root over the rows.

    data-manifest.json      the summary: counts, licences, sources, and the root, which is what gets signed
    data-manifest.jsonl     the rows, in strictly ascending order of (source, path): registry.records.row_lines
    data-manifest.parquet   or here, where there are millions: registry.records.row_table

Laws: the same rows have the same root in both files, which is that of RFC 6962 over their leaves
(registry.records.data_row); `verify(summary, folder / summary.stored_in)` holds for `summary =
write(folder, rows, sources)`; one byte changed in the summary or
the rows, and it does not.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Self

from pydantic import Field, model_validator

from registry import suffixes
from registry.digest import sha256_file
from registry.errors import Malformed, VerificationError
from registry.files import readable, write_atomic
from registry.merkle import RootBuilder
from registry.records import row_lines
from registry.records.data_row import CountedKind, Id, Language, Licence, LicenceBasis, Reason, Row, Scrubbed
from registry.records.record import Count, Given, Record, Sha256, absent, validated
from registry.records.row_lines import MEND, PlainRow

if TYPE_CHECKING:
    from registry.records.row_table import RowGroup

ROWS = "data-manifest.jsonl"
TABLE: Literal["data-manifest.parquet"] = "data-manifest.parquet"
SUMMARY = "data-manifest.json"
DOCUMENTS = f"documents{suffixes.PARQUET}"
"""The documents that are used, with their texts: beside the manifest, and not of it."""
MAX_SOURCES = 10_000

Edition = Literal["glasshouse.data-manifest/v1", "glasshouse.data-manifest/v2"]
EDITIONS: tuple[Edition, Edition] = ("glasshouse.data-manifest/v1", "glasshouse.data-manifest/v2")

RowsForm = Literal["jsonl", "parquet"]
"""In which file the rows stand."""
SourceStatus = Literal["exact", "rebuildable", "withdrawn"]
"""exact: whoever fetches it has the same bytes. rebuildable: it is made anew by what made it. withdrawn: neither."""


class Tally(Record):
    """Documents that are counted together."""

    documents: Count = 0
    """How many documents."""
    size: Count = Field(default=0, alias="bytes")
    """How many bytes they have together."""


class SplitTallies(Record):
    """What is used, by purpose."""

    train: Tally
    """What is trained on."""
    validation: Tally
    """What is kept from training, to measure by."""


class DataSource(Record):
    """Where documents come from."""

    id: Id
    """A package URL (purl), `hf://datasets/NAME@COMMIT`, or `files:NAME`."""
    kind: Literal["installed", "files", "huggingface"]
    """How it was read: as an installed package, as files of the project, or as a data set of the Hub."""
    license: Licence | None
    """SPDX expression; NO_LICENCE where none is stated; None where every document carries its own."""
    url: str | None = None
    """A page about it."""
    status: Annotated[SourceStatus | None, Given] = absent()
    """How others get it; left out where nobody says."""


class SourceTally(DataSource, Tally):
    """A source, and what of it is used."""


class Summary(Record):
    """data-manifest.json. What is counted is what is used, but for `rows`, `bytes` and `excluded`.

    Law: edition 2 of the format is what says something that edition 1 has no place for. What says less is edition 1, so
    a manifest of before has the bytes that it had."""

    schema_: Edition = Field(EDITIONS[0], alias="schema")
    """The format, with its version."""
    algorithm: Literal["rfc6962-sha256"] = "rfc6962-sha256"
    """How the tree is computed."""
    root: Sha256
    """Merkle root of the tree over the rows."""
    rows: Count
    """Documents met."""
    size: Count = Field(alias="bytes")
    """How many bytes all documents met have together."""
    rows_sha256: Sha256 = Field(alias="rowsSha256")
    """SHA-256 of the file of rows."""
    rows_file: Annotated[Literal["data-manifest.parquet"] | None, Given] = absent()
    """What the file of rows is called; left out where it is data-manifest.jsonl."""
    splits: SplitTallies
    """What is used, by purpose."""
    excluded: dict[Reason, Count]
    """Documents excluded, by reason; no zeros."""
    scrubbed: Annotated[dict[Scrubbed, Count] | None, Given] = absent()
    """How often something was replaced in what is used, by what it was; no zeros, and left out where nothing was."""
    licenses: dict[Licence, Tally]
    """What is used, by licence."""
    license_bases: Annotated[dict[LicenceBasis, Tally] | None, Given] = absent()
    """What is used, by how its licence is known; left out where no row says it."""
    languages: Annotated[dict[Language, Tally] | None, Given] = absent()
    """What is used, by language; left out where no row says it."""
    sources: tuple[SourceTally, ...] = Field(max_length=MAX_SOURCES)
    """Sorted by id."""

    @model_validator(mode="after")
    def _edition(self) -> Self:
        if (self.schema_ == EDITIONS[1]) != _is_new(self.rows_file, self.license_bases, self.languages, self.sources):
            raise ValueError("it is edition 2 if, and only if, it says what edition 1 does not")
        return self

    @property
    def stored_in(self) -> str:
        """What the file of rows is called."""
        return self.rows_file or ROWS


def _is_new(rows_file: object, bases: object, languages: object, sources: Iterable[DataSource]) -> bool:
    return bool(rows_file or bases or languages or any(source.status for source in sources))


@dataclass(slots=True)
class _Sum:
    """A Tally that grows."""

    documents: int = 0
    size: int = 0

    def add(self, documents: int, size: int) -> None:
        """So many documents more, of `size` bytes together."""
        self.documents += documents
        self.size += size

    def tally(self) -> Tally:
        """What it comes to."""
        return Tally(documents=self.documents, size=self.size)


AT_ONCE = 1024
"""Leaves that are added to the tree together, in half of the time; each of at most MAX_LEAF bytes."""


class _Counter:
    """Folds rows, one after the other, into a summary, in memory that grows with their kinds only."""

    def __init__(self, sources: Iterable[DataSource], rows_file: str = ROWS) -> None:
        self._sources = {source.id: source for source in sources}
        self._rows_file = rows_file
        self._kinds: dict[CountedKind, _Sum] = defaultdict(_Sum)
        self._scrubbed: dict[Scrubbed, int] = defaultdict(int)
        self._tree = RootBuilder()
        self._leaves: list[bytes] = []
        self._last = ("", "")

    def add(self, row: Row | PlainRow, leaf: bytes) -> None:
        """Count `row`. Raises Malformed for a row out of order or of an unknown source."""
        key = row.source, row.path
        self._follow(key, key)
        self._leaves.append(leaf)
        if len(self._leaves) == AT_ONCE:
            self._add_leaves()
        kind = CountedKind(row.source, row.license, row.use, row.reason, row.license_basis, row.language)
        self._count(kind, 1, row.size, row.scrubbed)

    def extend(self, group: "RowGroup") -> None:
        """Count the rows of a group. Raises as `add` does."""
        self._follow(group.first, group.last)
        self._add_leaves()
        self._tree.extend(group.leaves.to_pylist())
        for kind, documents, size, scrubbed in group.counts:
            self._count(kind, documents, size, scrubbed)

    def _add_leaves(self) -> None:
        self._tree.extend(self._leaves)
        self._leaves.clear()

    def _follow(self, first: tuple[str, str], last: tuple[str, str]) -> None:
        if first <= self._last:
            _refuse(f"{first[1]!r} of {first[0]} does not follow {self._last[1]!r} of {self._last[0]}")
        self._last = last

    def _count(self, kind: CountedKind, documents: int, size: int, scrubbed: dict[Scrubbed, int] | None) -> None:
        if kind.source not in self._sources:
            _refuse(f"a row is of {kind.source}, which is none of the sources")
        self._kinds[kind].add(documents, size)
        if scrubbed and kind.use != "excluded":
            for what, count in scrubbed.items():
                self._scrubbed[what] += count

    def _used(self, part: str) -> dict[Any, _Sum]:
        """What is used, by that part of its kind."""
        found: dict[Any, _Sum] = defaultdict(_Sum)
        for kind, counted in self._kinds.items():
            value = getattr(kind, part)
            if kind.use != "excluded" and value is not None:
                found[value].add(counted.documents, counted.size)
        return found

    def _excluded(self) -> dict[Reason, int]:
        found: dict[Reason, int] = defaultdict(int)
        for kind, counted in self._kinds.items():
            if kind.reason is not None:
                found[kind.reason] += counted.documents
        return dict(found)

    def summary(self, rows_sha256: str) -> Summary:
        """What the rows so far come to. Raises Malformed where that is more bytes than JSON can count."""
        self._add_leaves()
        uses, by_source = self._used("use"), self._used("source")
        with validated(SUMMARY, mend=MEND):
            rows_file = None if self._rows_file == ROWS else TABLE
            bases, languages = _tallies(self._used("license_basis")), _tallies(self._used("language"))
            return Summary(
                schema_=EDITIONS[_is_new(rows_file, bases, languages, self._sources.values())],
                root=self._tree.root(),
                rows=self._tree.count,
                size=sum(counted.size for counted in self._kinds.values()),
                rows_sha256=rows_sha256,
                rows_file=rows_file,
                splits=SplitTallies(train=uses["train"].tally(), validation=uses["validation"].tally()),
                excluded=self._excluded(),
                scrubbed={what: count for what, count in self._scrubbed.items() if count} or None,
                licenses=_tallies(self._used("license")),
                license_bases=bases or None,
                languages=languages or None,
                sources=tuple(
                    SourceTally(**_fields(source), **_fields(by_source[name].tally()))
                    for name, source in sorted(self._sources.items())
                ),
            )


def _tallies(found: dict[Any, _Sum]) -> dict[Any, Tally]:
    return {name: counted.tally() for name, counted in found.items()}


def write(folder: Path, rows: Iterable[Row], sources: Iterable[DataSource], form: RowsForm = "jsonl") -> Summary:
    """Write both files of the manifest into `folder`, the summary last, and return the summary.

    Raises Malformed for rows that are not in strictly ascending order of (source, path), or of no given source.
    """
    name = ROWS if form == "jsonl" else TABLE
    counter = _Counter(sources, name)
    folder.mkdir(parents=True, exist_ok=True)
    with _beside(folder / name) as beside:
        if form == "jsonl":
            _write_lines(beside, rows, counter)
        else:
            _write_table(beside, rows, counter)
        summary = counter.summary(sha256_file(beside))
    write_atomic(folder / SUMMARY, summary.to_bytes())
    return summary


def _write_lines(path: Path, rows: Iterable[Row], counter: _Counter) -> None:
    with path.open("wb") as stream:
        for row in rows:
            counter.add(row, leaf := row.to_bytes())
            stream.write(leaf + b"\n")


def _write_table(path: Path, rows: Iterable[Row], counter: _Counter) -> None:
    from registry.records import row_table  # which needs an extra

    waiting = iter(rows)
    with row_table.TableWriter(path) as writer:
        while some := list(islice(waiting, row_table.GROUP)):
            counter.extend(writer.add(some))


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Where to write what is to stand at `path`: it gets there, whole, when the block ends without an error."""
    beside = path.with_name(f".{path.name}.part")
    try:
        yield beside
        with beside.open("rb+") as stream:
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_summary(path: Path) -> Summary:
    """The summary in the file at `path`. Raises as `Record.read` does."""
    return Summary.read(path)


def form_of(path: Path) -> RowsForm:
    """In which form the rows at `path` are, by the name of the file."""
    return "parquet" if path.suffix == suffixes.PARQUET else "jsonl"


def iter_rows(path: Path) -> Iterator[Row]:
    """The rows in the file at `path`, one at a time.

    Raises Malformed for a file of other rows (`row_lines.iter_rows`, `row_table.groups`), InputError where it cannot be
    read.
    """
    if form_of(path) == "jsonl":
        with readable(path), path.open("rb") as stream:
            yield from (row for row, _ in row_lines.iter_rows(stream, path.name))
    else:
        for number, leaf in enumerate(iter_leaves(path), 1):
            yield row_lines.strict(leaf, path.name, number)


def iter_leaves(path: Path) -> Iterator[bytes]:
    """The leaves in the file at `path`. Those of lines are not looked into.

    Raises Malformed for lines that are too long or unfinished, too many, or a table of other rows; InputError where it
    cannot be read.
    """
    with readable(path):
        if form_of(path) == "jsonl":
            with path.open("rb") as stream:
                yield from (leaf for _, leaf in row_lines.iter_leaves(stream))
        else:
            from registry.records import row_table

            for group in row_table.groups(path):
                yield from group.leaves.to_pylist()


def iter_used(path: Path) -> Iterator[tuple[str, str]]:
    """(use, SHA-256) of each document at `path` that is used, in order.

    Only the end of a line is looked at, where that tells both. Whether all of it is a row, `verify` tells.
    """
    with readable(path):
        if form_of(path) == "jsonl":
            with path.open("rb") as stream:
                for use, sha256 in row_lines.iter_uses(stream, path.name):
                    if use != "excluded":
                        yield use, sha256
        else:
            from registry.records import row_table

            for group in row_table.groups(path):
                for use, sha256 in zip(group.uses.to_pylist(), group.digests.to_pylist(), strict=True):
                    if use != "excluded":
                        yield use, sha256


def verify(summary: Summary, path: Path) -> None:
    """Count the rows at `path` anew. Raises VerificationError that names each part of `summary` that they belie."""
    with readable(path):
        found = sha256_file(path.resolve())  # a link of the Hugging Face cache, where step 0 let it pass
    if found != summary.rows_sha256:
        _differs(summary, f"its SHA-256 is {found}, the summary says {summary.rows_sha256}")
    counter = _Counter(summary.sources, summary.stored_in)
    try:
        _count_anew(path, counter)
        counted, said = counter.summary(found).as_json(), summary.as_json()
    except Malformed as problem:
        _differs(summary, problem.message)
    if parts := sorted(key for key in counted.keys() | said.keys() if counted.get(key) != said.get(key)):
        _differs(summary, f"counted anew, it differs from the summary in: {', '.join(parts)}")


def _count_anew(path: Path, counter: _Counter) -> None:
    with readable(path):
        if form_of(path) == "jsonl":
            with path.open("rb") as stream:
                for row, leaf in row_lines.iter_plain(stream, path.name):
                    counter.add(row, leaf)
        else:
            from registry.records import row_table

            for group in row_table.groups(path):
                counter.extend(group)


def _fields(record: DataSource | Tally) -> dict[str, Any]:
    kind = DataSource if isinstance(record, DataSource) else Tally
    return {name: getattr(record, name) for name in kind.model_fields}


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a data manifest: {found}", mend=MEND)


def _differs(summary: Summary, found: str) -> NoReturn:
    raise VerificationError(
        f"{summary.stored_in} is not what {SUMMARY} speaks of: {found}",
        mend="fetch both files again, or rebuild them: dvc repro",
    )
