"""The fields of a Protocol Buffers message in a file, read without a schema, without trust and without building any.

Source: Protocol Buffers, "Encoding" (wire types 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
MAX_TEXT = 1 << 20
"""Bytes of a text that is read whole."""


class OtherFormat(ValueError):
    """The bytes are not a message. It does not leave the modules that read formats."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    number: int
    """Which field of its message."""
    wire: int
    """VARINT, EIGHT, BYTES or FOUR."""
    value: int
    """The number, of a VARINT; else 0."""
    start: int
    """Where its bytes begin in the file."""
    end: int
    """Where they end."""


def fields(stream: BinaryIO, start: int, end: int) -> Iterator[Field]:
    """The fields of the message between two places of `stream`. Raises OtherFormat where it is not one, to its end."""
    place = start
    while place < end:
        stream.seek(place)
        tag, place = _varint(stream, place, end)
        number, wire = tag >> 3, tag & 7
        value = 0
        begin = place
        if wire == VARINT:
            value, place = _varint(stream, place, end)
        elif wire in (EIGHT, FOUR):
            place += 8 if wire == EIGHT else 4
        elif wire == BYTES:
            length, begin = _varint(stream, place, end)
            place = begin + length
        else:
            raise OtherFormat(f"a field of wire type {wire} at byte {place}")
        if place > end or number == 0:
            raise OtherFormat(f"field {number} ends at byte {place}, its message at {end}")
        yield Field(number, wire, value, begin, place)


def text(stream: BinaryIO, field: Field) -> str:
    """The text in `field`. Raises OtherFormat for more than MAX_TEXT bytes, or other bytes than UTF-8."""
    if field.wire != BYTES or field.end - field.start > MAX_TEXT:
        raise OtherFormat(f"field {field.number} is not a text")
    stream.seek(field.start)
    try:
        return stream.read(field.end - field.start).decode()
    except UnicodeDecodeError as problem:
        raise OtherFormat(f"field {field.number} is not UTF-8") from problem


def _varint(stream: BinaryIO, place: int, end: int) -> tuple[int, int]:
    """(the number at `place`, where it ends)."""
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        place += 1
        if not byte or place > end:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value, place
    raise OtherFormat(f"a number that does not end, at byte {place}")
