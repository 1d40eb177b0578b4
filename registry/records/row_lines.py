"""Rows of a data manifest as lines: each is the leaf of one row, and a newline.

Law: one file is the only one with its rows, for a leaf is canonical.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, NoReturn, get_args

from registry.errors import Malformed
from registry.manifest import MAX_PATH_BYTES, PLAIN
from registry.records.data_row import LANGUAGE, LICENCE, MAX_LEAF, NO_LICENCE, LicenceBasis, Reason, Row, Use

MAX_ROWS = 100_000_000
MEND = "write it anew: dvc repro -f corpus"


class PlainRow(NamedTuple):
    """What is counted of a row that says nothing unusual."""

    source: str
    """As `Row` has it."""
    path: str
    """As `Row` has it."""
    sha256: str
    """As `Row` has it."""
    size: int
    """As `Row` has it."""
    license: str
    """As `Row` has it."""
    use: str
    """As `Row` has it."""
    reason: Reason | None
    """As `Row` has it."""
    license_basis: LicenceBasis | None
    """As `Row` has it."""
    language: str | None
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
        size, language, licence, basis, path, reason, sha256, source, use = found.groups()
        if (use == "excluded") != (reason is not None) or len(path) > MAX_PATH_BYTES:
            return None
        if (basis is not None and (basis == "none") != (licence == NO_LICENCE)) or (
            reason == "language" and language is None
        ):
            return None
        return cls(source, path, sha256, int(size), licence, use, reason, basis, language)  # type: ignore[arg-type]


_TOLD = "|".join(sorted({*get_args(Reason)} - {"near-duplicate", "contaminated"}))
"""Reasons that need no further field."""
_PLAIN_ID = r"[ !#-\[\]-~]{1,500}"
_PLAIN_LINE = re.compile(
    rf'\{{"bytes":(0|[1-9][0-9]{{0,14}}),(?:"language":"({LANGUAGE})",)?"license":"({LICENCE})",'
    rf'(?:"licenseBasis":"({"|".join(get_args(LicenceBasis))})",)?(?:"origin":"{_PLAIN_ID}",)?'
    rf'"path":"({PLAIN.pattern})","reason":(?:null|"({_TOLD})"),"sha256":"([0-9a-f]{{64}})",'
    rf'"source":"({_PLAIN_ID})","use":"({"|".join(get_args(Use))})"\}}'
)
"""A line whose strings need no escape, whose path `check_path` allows at first sight, and that has no further field."""


_END = re.compile(
    rb'"sha256":"([0-9a-f]{64})","source":"[^"\\]{1,2000}","use":"(' + "|".join(get_args(Use)).encode() + rb')"\}\Z'
)
"""How a line ends, for the keys of a row are sorted. Within a text the quotes would be escaped."""


def iter_rows(stream: BinaryIO, name: str) -> Iterator[tuple[Row, bytes]]:
    """Each row in `stream` with its leaf, one at a time; errors call it `name`.

    Raises Malformed for a line that is too long, unfinished, not a row, or not canonical, and for too many lines.
    """
    for number, line in iter_leaves(stream):
        yield strict(line, name, number), line


def iter_plain(stream: BinaryIO, name: str) -> Iterator[tuple[Row | PlainRow, bytes]]:
    """`iter_rows`, five times as fast: a row that says nothing unusual is only looked at for what is counted."""
    for number, line in iter_leaves(stream):
        yield PlainRow.of(line) or strict(line, name, number), line


def iter_uses(stream: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    """(use, SHA-256) of each row: of the end of its line where that tells them, of a source without an escape in it.

    Raises as `iter_rows` does, but for a line that only begins unlike a row.
    """
    for number, line in iter_leaves(stream):
        if found := _END.search(line):
            yield found[2].decode(), found[1].decode()
        else:
            row = strict(line, name, number)
            yield row.use, row.sha256


def strict(leaf: bytes, name: str, number: int) -> Row:
    """The row that `leaf` is, the one of that number in the file `name`. Raises Malformed for any other bytes."""
    return Row.from_canonical(leaf, name=f"{name}, line {number}", max_bytes=MAX_LEAF)


def iter_leaves(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1, and without its newline. It is not looked into.

    Raises Malformed for a line that is too long or unfinished, and for too many.
    """
    for number in range(1, MAX_ROWS + 2):
        line = stream.readline(MAX_LEAF + 1)
        if not line:
            return
        if number > MAX_ROWS or len(line) > MAX_LEAF or not line.endswith(b"\n"):
            _refuse(f"line {number} is too long, unfinished, or one too many")
        yield number, line[:-1]


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a data manifest: {found}", mend=MEND)
