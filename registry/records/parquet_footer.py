"""The footer of a stranger's Parquet file, looked at before a library reads it.

The library ends the whole process where it meets what it did not expect in some places, such as a histogram of another
size. So a footer may say what is written here, and nothing else.

Law: a footer that passes has the fields of SHAPE only, each of its kind, in ascending order, and of each list as many
items as its shape allows. Nothing is built: it takes the memory of a few numbers.
Source: the Parquet format 2.11, parquet.thrift (FileMetaData); the Thrift compact protocol.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NoReturn, TypeAlias

from registry.errors import Malformed

WHOLE, BYTES = (4, 5, 6), (8,)
"""Kinds of the Thrift compact protocol: integers of 16, 32 and 64 bits; bytes, and texts."""
LIST, STRUCT = 9, 12
MAX_DIGITS = 10
"""Bytes of an integer of 64 bits."""
FEW = range(9)
"""How many encodings a column may name."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    each: Shape | list[Shape]
    """What each item is; or the first, the second, and so on."""
    counts: Collection[int]
    """How many items there may be."""


Shape: TypeAlias = "tuple[int, ...] | ListOf | Mapping[int, Shape]"
"""One of some kinds of number or bytes; a list; a struct, by its fields."""


@dataclass(frozen=True, slots=True)
class FlatColumn:
    """A column without lists in it."""

    texts: bool
    """Whether it holds texts; else it holds numbers."""
    required: bool
    """Whether there is a value in every row."""


def shape(columns: Sequence[FlatColumn], groups: int) -> Shape:
    """What the footer of a table of those columns may say, without statistics of its values, in at most `groups` row
    groups."""
    element: Shape = {1: WHOLE, 3: WHOLE, 4: BYTES, 5: WHOLE, 6: WHOLE, 10: {1: {}}}
    chunks: list[Shape] = [{2: WHOLE, 3: _chunk(column)} for column in columns]
    group: Shape = {1: ListOf(chunks, (len(chunks),)), 2: WHOLE, 3: WHOLE, 5: WHOLE, 6: WHOLE, 7: WHOLE}
    return {
        1: WHOLE, 2: ListOf(element, (len(columns) + 1,)), 3: WHOLE, 4: ListOf(group, range(groups + 1)), 6: BYTES,
        7: ListOf({1: {}}, (len(columns),)),
    }  # fmt: skip


def _chunk(column: FlatColumn) -> Shape:
    histograms: dict[int, Shape] = {2: ListOf(WHOLE, (0, 1)), 3: ListOf(WHOLE, (0, 1 if column.required else 2))}
    sizes: Shape = {1: WHOLE, **histograms} if column.texts else histograms
    pages: Shape = {1: WHOLE, 2: WHOLE, 3: WHOLE}
    return {
        1: WHOLE, 2: ListOf(WHOLE, FEW), 3: ListOf(BYTES, (1,)), 4: WHOLE, 5: WHOLE, 6: WHOLE, 7: WHOLE, 9: WHOLE,
        11: WHOLE, 13: ListOf(pages, FEW), 16: sizes,
    }  # fmt: skip


def check(data: bytes, allowed: Shape) -> None:
    """Refuse, with Malformed, a footer that is not one struct of the shape `allowed`, from its first byte to its
    last."""
    try:
        end = _passed(data, 0, STRUCT, allowed)
    except IndexError:
        end = -1
    if end != len(data):
        _refuse("its footer does not end where it should")


def _passed(data: bytes, at: int, kind: int, allowed: Shape) -> int:
    """Where the value of that kind ends that begins at `at`."""
    match allowed:
        case ListOf() if kind == LIST:
            return _list(data, at, allowed)
        case Mapping() if kind == STRUCT:
            return _struct(data, at, allowed)
        case tuple() if kind in allowed:
            length, at = _whole(data, at)
            return at + length if kind in BYTES else at
    _refuse(f"its footer has a value of kind {kind} where it has no place")


def _struct(data: bytes, at: int, fields: Mapping[int, Shape]) -> int:
    number = 0
    while head := data[at]:
        number += head >> 4
        if not head >> 4 or number not in fields:
            _refuse(f"its footer says more than one that is written here: field {number}")
        at = _passed(data, at + 1, head & 15, fields[number])
    return at + 1


def _list(data: bytes, at: int, allowed: ListOf) -> int:
    head, at = data[at], at + 1
    count, kind = head >> 4, head & 15
    if count == 15:
        count, at = _whole(data, at)
    if count not in allowed.counts:
        _refuse(f"its footer has a list of {count} items, where none of so many is written")
    for each in repeat(allowed.each, count) if not isinstance(allowed.each, list) else allowed.each:
        at = _passed(data, at, kind, each)
    return at


def _whole(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    value = 0
    for place in range(MAX_DIGITS):
        each = data[at + place]
        value |= (each & 127) << 7 * place
        if each < 128:
            return value, at + place + 1
    _refuse("its footer has a number that does not end")


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a Parquet file as it is read here: {found}", mend="write it anew: dvc repro -f corpus")
