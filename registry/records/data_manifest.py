"""The data manifest: a row for every document that was met, and one Merkle root over the rows.

    data-manifest.jsonl   one row to a line, as canonical JSON, in strictly ascending order of (source, path)
    data-manifest.json    the summary: counts, licences, sources, and the root, which is what gets signed

Laws: the same rows in give the same bytes out; `verify(write(folder, rows, sources), folder / ROWS)` holds; one byte
changed in either file, and it does not. The root is that of RFC 6962 over the lines, each without its newline.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NamedTuple, NoReturn, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from registry import canonical, suffixes
from registry.digest import sha256_file
from registry.errors import Malformed, VerificationError
from registry.files import readable, write_atomic
from registry.manifest import MAX_PATH_BYTES, PLAIN, check_path
from registry.merkle import RootBuilder
from registry.records.record import Count, Given, Record, Sha256, absent, validated

ROWS = "data-manifest.jsonl"
SUMMARY = "data-manifest.json"
DOCUMENTS = f"documents{suffixes.PARQUET}"
"""The documents that are used, with their texts: beside the manifest, and not of it."""
MAX_LINE = 16 << 10
"""Bytes of one row. A path takes at most 1,024, a source and a licence 500 characters each."""
MAX_ROWS = 100_000_000
MAX_SOURCES = 10_000
MEND = "write it anew: dvc repro -f corpus"
NO_LICENCE = "NOASSERTION"
"""What SPDX calls a licence that nobody states (SPDX 2.3, section 8.5)."""

Id = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,500}$")]
_LICENCE = r"[A-Za-z0-9.+:() -]{1,500}"
Licence = Annotated[str, StringConstraints(pattern=f"^{_LICENCE}$")]
Use = Literal["train", "validation", "excluded"]
Reason = Literal[
    "duplicate",
    "size",
    "license",
    "encoding",
    "few-words",
    "many-words",
    "word-length",
    "symbols",
    "letters",
    "repeated-lines",
    "contaminated",
    "near-duplicate",
]
Scrubbed = Literal["emails", "secrets"]
"""What is replaced in texts."""


class OriginalDigest(Record):
    """A document as it was met, before anything in it was replaced."""

    sha256: Sha256
    """SHA-256 of its bytes."""
    size: Count = Field(alias="bytes")
    """How many bytes."""


class Overlap(Record):
    """What a document has in common with the evaluation sets."""

    passage: Id
    """The passage that it shares most with."""
    ngrams: Annotated[int, Field(ge=1, le=canonical.MAX_SAFE_INTEGER)]
    """How many runs of words it has in common with all passages."""


class Row(Record):
    """One document."""

    source: Id
    """The `id` of one of the summary's sources."""
    path: str
    """Within the source; `registry.manifest.check_path` holds. With `source` it names the document."""
    sha256: Sha256
    """SHA-256 of the document's bytes."""
    size: Count = Field(alias="bytes")
    """How many bytes."""
    license: Licence
    """SPDX expression, or NO_LICENCE."""
    use: Use
    """Which split it went to, or none."""
    reason: Reason | None
    """Why it was excluded; None for a document that is used."""
    cluster: Annotated[Sha256 | None, Given] = absent()
    """SHA-256 of the document that stays, by which all its near-duplicates are known; left out for any other."""
    overlap: Annotated[Overlap | None, Given] = absent()
    """What it has in common with the evaluation sets, where it has."""
    original: Annotated[OriginalDigest | None, Given] = absent()
    """What it was before something in it was replaced; `sha256` and `bytes` are what became of it."""
    scrubbed: Annotated[dict[Scrubbed, Count] | None, Given] = absent()
    """How often something was replaced, by what it was."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_path(self.path)
        if (self.reason == "near-duplicate") != (self.cluster is not None):
            raise ValueError("a document has a cluster if, and only if, it is a near-duplicate")
        if self.reason == "contaminated" and self.overlap is None:
            raise ValueError("a contaminated document has an overlap")
        if (self.original is None) != (not self.scrubbed):
            raise ValueError("a document has an original if, and only if, something in it was scrubbed")
        if (self.use == "excluded") != (self.reason is not None):
            raise ValueError("a document has a reason if, and only if, it is excluded")
        return self


class PlainRow(NamedTuple):
    """What is counted of a row that says nothing unusual."""

    source: str
    """As `Row` has it."""
    path: str
    """As `Row` has it."""
    size: int
    """As `Row` has it."""
    license: str
    """As `Row` has it."""
    use: str
    """As `Row` has it."""
    reason: Reason | None
    """As `Row` has it."""
    scrubbed: None = None
    """Nothing was."""

    @classmethod
    def of(cls, line: bytes) -> PlainRow | None:
        """The row that `line` is, told at first sight, as nearly all can be; None where only `Row` can tell.

        Law: where it is not None, `Row.from_canonical` takes the line, too, and has the same fields.
        """
        if not line.isascii() or (found := _PLAIN_LINE.fullmatch(line.decode("ascii"))) is None:
            return None
        size, licence, path, reason, source, use = found.groups()
        if (use == "excluded") != (reason is not None) or len(path) > MAX_PATH_BYTES:
            return None
        return cls(source, path, int(size), licence, use, reason)  # type: ignore[arg-type]  # one of the names there


_TOLD = "|".join(sorted({*get_args(Reason)} - {"near-duplicate", "contaminated"}))
"""Reasons that need no further field."""
_PLAIN_LINE = re.compile(
    rf'\{{"bytes":(0|[1-9][0-9]{{0,14}}),"license":"({_LICENCE})","path":"({PLAIN.pattern})",'
    rf'"reason":(?:null|"({_TOLD})"),"sha256":"[0-9a-f]{{64}}","source":"([ !#-\[\]-~]{{1,500}})",'
    rf'"use":"({"|".join(get_args(Use))})"\}}'
)
"""A line whose strings need no escape, whose path `check_path` allows at first sight, and that has no further field."""


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


class SourceTally(DataSource, Tally):
    """A source, and what of it is used."""


class Summary(Record):
    """data-manifest.json. What is counted is what is used, but for `rows`, `bytes` and `excluded`."""

    schema_: Literal["glasshouse.data-manifest/v1"] = Field("glasshouse.data-manifest/v1", alias="schema")
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
    splits: SplitTallies
    """What is used, by purpose."""
    excluded: dict[Reason, Count]
    """Documents excluded, by reason; no zeros."""
    scrubbed: Annotated[dict[Scrubbed, Count] | None, Given] = absent()
    """How often something was replaced in what is used, by what it was; no zeros, and left out where nothing was."""
    licenses: dict[Licence, Tally]
    """What is used, by licence."""
    sources: tuple[SourceTally, ...] = Field(max_length=MAX_SOURCES)
    """Sorted by id."""


@dataclass(slots=True)
class _Sum:
    """A Tally that grows."""

    documents: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """One document more, of `size` bytes."""
        self.documents += 1
        self.size += size

    def tally(self) -> Tally:
        """What it comes to."""
        return Tally(documents=self.documents, size=self.size)


class _Counter:
    """Folds rows, one after the other, into a summary, in memory that grows with sources and licences only."""

    def __init__(self, sources: Iterable[DataSource]) -> None:
        self._sources = {source.id: source for source in sources}
        self._by_source: dict[str, _Sum] = defaultdict(_Sum)
        self._by_use: dict[str, _Sum] = defaultdict(_Sum)
        self._by_license: dict[str, _Sum] = defaultdict(_Sum)
        self._excluded: dict[Reason, int] = defaultdict(int)
        self._scrubbed: dict[Scrubbed, int] = defaultdict(int)
        self._tree = RootBuilder()
        self._hash = hashlib.sha256()
        self._last = ("", "")
        self._size = 0

    def add(self, row: Row | PlainRow, line: bytes) -> None:
        """Count `row`, whose bytes are `line`. Raises Malformed for a row out of order or of an unknown source."""
        if (key := (row.source, row.path)) <= self._last:
            _refuse(f"{row.path!r} of {row.source} does not follow {self._last[1]!r} of {self._last[0]}")
        if row.source not in self._sources:
            _refuse(f"{row.path!r} is of {row.source}, which is none of the sources")
        self._last = key
        self._tree.add(line)
        self._hash.update(line + b"\n")
        self._size += row.size
        if row.reason is not None:
            self._excluded[row.reason] += 1
        else:
            self._by_use[row.use].add(row.size)
            self._by_source[row.source].add(row.size)
            self._by_license[row.license].add(row.size)
            for kind, count in (row.scrubbed or {}).items():
                self._scrubbed[kind] += count

    def summary(self) -> Summary:
        """What the rows so far come to. Raises Malformed where that is more bytes than JSON can count."""
        with validated(SUMMARY, mend=MEND):
            return Summary(
                root=self._tree.root(),
                rows=self._tree.count,
                size=self._size,
                rows_sha256=self._hash.hexdigest(),
                splits=SplitTallies(train=self._by_use["train"].tally(), validation=self._by_use["validation"].tally()),
                excluded=dict(self._excluded),
                scrubbed=dict(self._scrubbed) or None,
                licenses={name: found.tally() for name, found in self._by_license.items()},
                sources=tuple(
                    SourceTally(**_fields(source), **_fields(self._by_source[name].tally()))
                    for name, source in sorted(self._sources.items())
                ),
            )


def write(folder: Path, rows: Iterable[Row], sources: Iterable[DataSource]) -> Summary:
    """Write both files of the manifest into `folder`, the summary last, and return the summary.

    Raises Malformed for rows that are not in strictly ascending order of (source, path), or of no given source.
    """
    counter = _Counter(sources)
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{ROWS}.part"
    try:
        with beside.open("wb") as stream:
            for row in rows:
                counter.add(row, line := row.to_bytes())
                stream.write(line + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(folder / ROWS)
    finally:
        beside.unlink(missing_ok=True)
    summary = counter.summary()
    write_atomic(folder / SUMMARY, summary.to_bytes())
    return summary


def read_summary(path: Path) -> Summary:
    """The summary in the file at `path`. Raises as `Record.read` does."""
    return Summary.read(path)


def iter_rows(path: Path) -> Iterator[Row]:
    """The rows in the file at `path`, one at a time. Raises as `rows_of`, and InputError where it cannot be read."""
    return (row for row, _ in _lines(path))


def rows_of(stream: BinaryIO, name: str) -> Iterator[Row]:
    """The rows in `stream`, one at a time; errors call it `name`.

    Raises Malformed for a line that is too long, unfinished, not a row, or not canonical, and for too many lines.
    """
    return (row for row, _ in _lines_of(stream, name))


def iter_lines(path: Path) -> Iterator[bytes]:
    """The lines in the file at `path`, each without its newline: the leaves of the tree. They are not looked into.

    Raises Malformed for a line that is too long or unfinished, and for too many; InputError where it cannot be read.
    """
    with readable(path), path.open("rb") as stream:
        for _, line in _split(stream):
            yield line


def _lines(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Each row of the file with its bytes."""
    with readable(path), path.open("rb") as stream:
        yield from _lines_of(stream, path.name)


def _lines_of(stream: BinaryIO, name: str) -> Iterator[tuple[Row, bytes]]:
    """Each row with its bytes, as `rows_of` gives them."""
    for number, line in _split(stream):
        yield _row(line, name, number), line


def _row(line: bytes, name: str, number: int) -> Row:
    return Row.from_canonical(line, name=f"{name}, line {number}", max_bytes=MAX_LINE)


def _split(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1. Raises Malformed as `rows_of` does."""
    for number in range(1, MAX_ROWS + 2):
        line = stream.readline(MAX_LINE + 1)
        if not line:
            return
        if number > MAX_ROWS or len(line) > MAX_LINE or not line.endswith(b"\n"):
            _refuse(f"line {number} is too long, unfinished, or one too many")
        yield number, line[:-1]


def verify(summary: Summary, rows_path: Path) -> None:
    """Count the rows at `rows_path` anew. Raises VerificationError that names each part of `summary` they belie."""
    with readable(rows_path):
        found = sha256_file(rows_path.resolve())  # a link of the Hugging Face cache, where step 0 let it pass
    if found != summary.rows_sha256:
        _differs(f"its SHA-256 is {found}, the summary says {summary.rows_sha256}")
    counter = _Counter(summary.sources)
    try:
        with readable(rows_path), rows_path.open("rb") as stream:
            for number, line in _split(stream):
                counter.add(PlainRow.of(line) or _row(line, rows_path.name, number), line)
        counted, said = counter.summary().as_json(), summary.as_json()
    except Malformed as problem:
        _differs(problem.message)
    if parts := sorted(key for key in counted.keys() | said.keys() if counted.get(key) != said.get(key)):
        _differs(f"counted anew, it differs from the summary in: {', '.join(parts)}")


def _fields(record: DataSource | Tally) -> dict[str, Any]:
    kind = DataSource if isinstance(record, DataSource) else Tally
    return {name: getattr(record, name) for name in kind.model_fields}


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a data manifest: {found}", mend=MEND)


def _differs(found: str) -> NoReturn:
    raise VerificationError(
        f"{ROWS} is not what {SUMMARY} speaks of: {found}", mend="fetch both files again, or rebuild them: dvc repro"
    )
