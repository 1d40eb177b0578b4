"""What is looked at in a stranger's Parquet file before a library reads it: so no small file becomes a large one.

    footer    few enough bytes, and of a shape that is known (parquet_footer)
    pages     of a column of a row group: version 1, in an encoding that repeats nothing but values of a dictionary,
              as large as they say, and together no more than is allowed

Law: what a library that believes the headers of the pages allocates is bounded by `max_bytes` and the rows.
Source: the Parquet format 2.11, parquet.thrift (PageHeader); the Thrift compact protocol.
"""

from __future__ import annotations

import os
from typing import BinaryIO, NoReturn

from registry.errors import Malformed
from registry.records import parquet_footer

MAGIC = b"PAR1"
MAX_HEADER = 256
"""Bytes of a page's header, without statistics."""
MAX_PAGES = 1024
"""Pages of a column of a row group."""
DATA, DICTIONARY = 0, 2
"""Types of pages (PageType)."""
PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY = 0, 2, 3, 8
"""Encodings."""
_ABOUT = {DATA: 5, DICTIONARY: 7}
"""In which field a header tells of a page of each type."""
_ENCODINGS = {DATA: (PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY), DICTIONARY: (PLAIN, PLAIN_DICTIONARY)}

Fields = dict[int, "int | Fields"]
"""A struct: what each of its numbered fields says."""


def check_footer(stream: BinaryIO, max_bytes: int, allowed: parquet_footer.Shape) -> None:
    """Refuse, with Malformed, a file whose ends are not those of Parquet, or whose footer is too large, or of another
    shape than `allowed`."""
    size = stream.seek(0, os.SEEK_END)
    if size < 12:
        _refuse(f"it has {size} bytes")
    stream.seek(size - 8)
    tail = stream.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or not 0 < length <= min(max_bytes, size - 12):
        _refuse(f"its footer of {length} bytes is too large, or is not one")
    stream.seek(size - 8 - length)
    parquet_footer.check(stream.read(length), allowed)


def check_pages(stream: BinaryIO, start: int, size: int, *, rows: int, few: bool, max_bytes: int) -> int:
    """How many bytes the pages of a column have together that stand in the `size` bytes from `start`, once they are
    not compressed any more. few: whether it may have a dictionary, whose values are read once, however often they are
    meant.

    Raises Malformed for pages of another kind, for more than `max_bytes`, and for other than `rows` values.
    """
    at, whole, values, dictionaries, pages = start, 0, 0, 0, 0
    while at < start + size:
        stream.seek(at)
        kind, plain, packed, count, length = _page(stream.read(MAX_HEADER))
        whole += plain
        at += length + packed
        pages += 1
        if pages > MAX_PAGES:
            _refuse(f"a column of a row group has more than {MAX_PAGES} pages")
        if kind == DATA:
            values += count
        else:
            dictionaries += 1
            if not few or dictionaries > 1 or values or count > rows:
                _refuse("a column has a dictionary where none is expected, a second one, or a huge one")
        if whole > max_bytes or values > rows:
            _refuse(f"a column has more than {max_bytes} bytes, or more than {rows} values")
    if at != start + size or values != rows:
        _refuse(f"a column has {values} values of {rows}, and ends at byte {at}")
    return whole


def _page(data: bytes) -> tuple[int, int, int, int, int]:
    """(type, its bytes, its bytes as they are compressed, values, bytes of the header) of the page that begins `data`.

    Every field is one that the format asks for, and stands once: so there are no two ways to read a header.
    """
    fields, length = _struct(data, 0, 3)
    kind = fields.get(1)
    about = _ABOUT.get(kind, 0) if isinstance(kind, int) else 0
    match [fields.pop(number, None) for number in (1, 2, 3, about)]:
        case [int(kind), int(plain), int(packed), {1: int(count), 2: int(encoding), **more}] if not fields:
            levels = (more.pop(3, None), more.pop(4, None))
            if more.get(5) == {}:  # no statistics are said by an empty struct
                del more[5]
            known = encoding in _ENCODINGS[kind] and (kind == DICTIONARY or levels == (RLE, RLE))
            if known and not more and min(plain, packed, count) >= 0:
                return kind, plain, packed, count, length
    _refuse("a page is of another kind or encoding, or its header says more than the format asks for")


def _struct(data: bytes, at: int, depth: int) -> tuple[Fields, int]:
    """The struct at `at`, and where it ends. Its fields ascend."""
    found: Fields = {}
    number = 0
    while True:
        if at >= len(data):
            _refuse("the header of a page does not end")
        head, at = data[at], at + 1
        if not head:
            return found, at
        number += head >> 4
        match head & 15:
            case _ if not head >> 4:
                _refuse("the fields of a page's header do not ascend")
            case 5:  # an integer of 32 bits
                found[number], at = _integer(data, at)
            case 12 if depth > 1:  # a struct
                found[number], at = _struct(data, at, depth - 1)
            case 1 | 2 as truth:  # true, and false
                found[number] = 2 - truth
            case other:
                _refuse(f"the header of a page has a field of type {other}")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """The zigzag varint of 32 bits at `at`, and where it ends."""
    value = shift = 0
    for each in data[at : at + 5]:
        value |= (each & 127) << shift
        shift += 7
        at += 1
        if each < 128:
            if value >> 32:
                break
            return (value >> 1) ^ -(value & 1), at
    _refuse("the header of a page has a number that does not end")


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a Parquet file as it is read here: {found}", mend="write it anew: dvc repro -f corpus")
