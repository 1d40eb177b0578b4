"""What a GGUF file says of itself, read without gguf and without trust.

Source: the GGUF specification, versions 2 and 3 (ggml, docs/gguf.md): magic, version, counts, key-value pairs, tensor
infos; all little-endian.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from registry.formats.protobuf import OtherFormat

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_COUNT = 1 << 20
"""Tensors, or pairs."""
MAX_ITEMS = 1 << 24
"""Items of all arrays together: a vocabulary of a million words has three arrays of a million."""
MAX_TEXT = 1 << 24
PIECE = 1 << 16
MAX_DIMENSIONS = 8
STRING, ARRAY = 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Type of a value -> its bytes, of those whose size is fixed."""
ARCHITECTURE = "general.architecture"
FIRST = 16
"""Pairs among which writers put the architecture."""
TEMPLATE = "tokenizer.chat_template"
"""How the keys of chat templates begin: some files have several, each by a name of its own."""


def architecture(stream: BinaryIO, size: int) -> str | None:
    """What a GGUF file says first of what it is; None where it says it late. Raises OtherFormat for what is none."""
    reader, _, pairs = _begun(stream, size)
    for _ in range(min(pairs, FIRST)):
        key = reader.text()
        value = reader.value(reader.number("<I"))
        if key == ARCHITECTURE:
            return value
    return None


def read(stream: BinaryIO, size: int) -> dict[str, str]:
    """The pairs of a GGUF file of `size` bytes whose value is a text. Raises OtherFormat for what is none."""
    reader, tensors, pairs = _begun(stream, size)
    texts: dict[str, str] = {}
    met: set[str] = set()
    for _ in range(pairs):
        key = reader.text()
        if key in met:  # which of the two counts, readers decide each for themselves
            raise OtherFormat(f"the key {key[:80]!r} stands twice")
        met.add(key)
        value = reader.value(reader.number("<I"))
        if value is not None:
            texts[key] = value
    for _ in range(tensors):
        reader.tensor()
    return texts


def _begun(stream: BinaryIO, size: int) -> tuple[_Reader, int, int]:
    """(a reader of what follows, how many tensors there are, how many pairs)."""
    stream.seek(0)
    reader = _Reader(stream, size)
    if reader.take(4) != MAGIC or reader.number("<I") not in VERSIONS:
        raise OtherFormat(f"it does not begin with GGUF and version {VERSIONS}")
    return reader, reader.count(), reader.count()


class _Reader:
    """Numbers and texts, one after the other, none beyond the file's end."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.size, self.items = stream, size, MAX_ITEMS

    def take(self, count: int) -> bytes:
        data = self.stream.read(count)
        if len(data) < count:
            raise OtherFormat("it ends in its header")
        return data

    def number(self, form: str) -> int:
        value = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        assert isinstance(value, int)
        return value

    def count(self) -> int:
        found = self.number("<Q")
        if found > MAX_COUNT:
            raise OtherFormat(f"{found} tensors or pairs")
        return found

    def text(self) -> str:
        length = self.number("<Q")
        if length > MAX_TEXT:
            raise OtherFormat(f"a text of {length} bytes")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as problem:
            raise OtherFormat("a text that is not UTF-8") from problem

    def value(self, kind: int) -> str | None:
        """Pass over a value; its text, if it is one."""
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            self._array()
        elif kind in SIZES:
            self.take(SIZES[kind])
        else:
            raise OtherFormat(f"a value of type {kind}")
        return None

    def _array(self) -> None:
        kind, count = self.number("<I"), self.number("<Q")
        self.items -= count
        if self.items < 0:
            raise OtherFormat(f"more than {MAX_ITEMS} items in arrays")
        if kind == STRING:
            self._texts(count)
        elif kind in SIZES:
            self._skip(count * SIZES[kind])
        else:
            raise OtherFormat(f"an array of type {kind}")

    def _texts(self, count: int) -> None:
        """Pass over so many texts: their lengths are taken from pieces of the file, for there can be millions."""
        place, piece, at = self.stream.tell(), b"", 0
        for _ in range(count):
            if at + 8 > len(piece):
                place, at = place + at, 0
                self.stream.seek(place)
                piece = self.stream.read(PIECE)
            length = int.from_bytes(piece[at : at + 8], "little")
            at += 8 + length
            if place + at > self.size:
                raise OtherFormat("it ends in its header")
        self.stream.seek(place + at)

    def _skip(self, count: int) -> None:
        if self.stream.tell() + count > self.size:
            raise OtherFormat("it ends in its header")
        self.stream.seek(count, os.SEEK_CUR)

    def tensor(self) -> None:
        """Pass over what is said of a tensor."""
        self.text()
        dimensions = self.number("<I")
        if dimensions > MAX_DIMENSIONS:
            raise OtherFormat(f"a tensor of {dimensions} dimensions")
        self.take(8 * dimensions + 4)
        if self.number("<Q") > self.size:
            raise OtherFormat("a tensor beyond the file's end")
