"""The two formats in which Xet uploads come: xorbs (packed chunks) and shards (which chunks make which file). Parsers.

Everything here is hostile: each length is bounded before it is believed. Hashes of chunks and xorbs are not checked,
for each file's SHA-256 is, once it is put together.
Source: huggingface/xet-core, xorb_chunk_format.rs, byte_grouping/bg4.rs, file_structs.rs, shard_format.rs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from registry.server.problems import Problem

MAX_XORB = 80 << 20
"""Bytes of a packed xorb; the clients stop at 64 MiB."""
MAX_SHARD = 64 << 20
MAX_CHUNK = 1 << 20
"""Bytes of a chunk; the clients stop at 128 KiB."""
MAX_CHUNKS = 16 << 10
"""Chunks of a xorb; the clients stop at 8 Ki."""
MAX_SPANS = 200_000
"""Spans of all files of a shard."""
_CHUNK_HEAD = 8
_FOOTER = b"XETBLOB"
_SHARD_TAG = b"HFRepoMetaData\0"
_SHARD_HEAD = 48
_ROW = 48
_END = b"\xff" * 32
_WITH_VERIFICATION = 1 << 31
_WITH_METADATA = 1 << 30


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk in a packed xorb: where its bytes are, how they are packed, how many they become."""

    offset: int
    packed: int
    scheme: int
    size: int


@dataclass(frozen=True, slots=True)
class Span:
    """The chunks `start` up to `end` of a xorb, which become `size` bytes."""

    xorb: str
    start: int
    end: int
    size: int


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of a shard: its SHA-256, and what it is put together from."""

    sha256: str
    spans: tuple[Span, ...]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(span.size for span in self.spans)


def chunks(stream: BinaryIO, size: int) -> list[Chunk]:
    """The chunks of the packed xorb of `size` bytes. Raises Problem 400 for what is not one."""
    found, place = [], 0
    while place + _CHUNK_HEAD <= size:
        stream.seek(place)
        head = stream.read(_CHUNK_HEAD)
        if head.startswith(_FOOTER):
            break
        packed, unpacked = int.from_bytes(head[1:4], "little"), int.from_bytes(head[5:8], "little")
        place += _CHUNK_HEAD
        if head[0] != 0 or head[4] > 2 or place + packed > size or not 0 < unpacked <= MAX_CHUNK:
            raise Problem(400, "a malformed xorb")
        found.append(Chunk(place, packed, head[4], unpacked))
        place += packed
        if len(found) > MAX_CHUNKS:
            raise Problem(400, f"a xorb of more than {MAX_CHUNKS} chunks")
    return found


def unpack(data: bytes, chunk: Chunk) -> bytes:
    """The bytes of a chunk. Scheme 0 is as it is, 1 LZ4, 2 LZ4 of four interleaved planes. Raises Problem 400."""
    if chunk.scheme != 0:
        from lz4.frame import LZ4FrameDecompressor

        try:
            data = LZ4FrameDecompressor().decompress(data, max_length=chunk.size + 1)
        except (RuntimeError, EOFError) as problem:
            raise Problem(400, "a malformed xorb") from problem
    if len(data) != chunk.size:
        raise Problem(400, "a malformed xorb")
    return _interleave(data) if chunk.scheme == 2 else data


def files(shard: bytes) -> Iterator[PackedFile]:
    """The files of a shard. Raises Problem 400 for what is not a shard, or lacks a SHA-256."""
    if not shard.startswith(_SHARD_TAG):
        raise Problem(400, "a malformed shard")
    place, left = _SHARD_HEAD, MAX_SPANS
    try:
        while True:
            name, flags, count, _ = struct.unpack_from("<32sIIQ", shard, place)
            place += _ROW
            if name == _END:
                return
            rows = shard[place : place + _ROW * count]
            if len(rows) != _ROW * count or not flags & _WITH_METADATA:
                raise Problem(400, "a malformed shard, or a file in it without its SHA-256")
            left -= count
            if left < 0:
                raise Problem(413, f"a shard of more than {MAX_SPANS} spans")
            place += _ROW * count * (2 if flags & _WITH_VERIFICATION else 1)
            spans = tuple(
                Span(hexadecimal(xorb), start, end, size)
                for xorb, _, size, start, end in struct.iter_unpack("<32sIIII", rows)
            )
            if not all(_is_whole(span) for span in spans):
                raise Problem(400, "a malformed shard: a span has no chunk, or no bytes, or too many")
            (sha256,) = struct.unpack_from("<32s16x", shard, place)
            place += _ROW
            yield PackedFile(hexadecimal(sha256), spans)
    except struct.error as problem:
        raise Problem(400, "a malformed shard") from problem


def _is_whole(span: Span) -> bool:
    """Whether a span can be: each of its chunks has a byte at least, and MAX_CHUNK at most."""
    count = span.end - span.start
    return 0 < count <= span.size <= count * MAX_CHUNK and span.end <= MAX_CHUNKS


def hexadecimal(digest: bytes) -> str:
    """How Xet writes 32 bytes: as four little-endian numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))


def _interleave(planes: bytes) -> bytes:
    """The bytes whose first, second, third and fourth of each four stand in planes one after the other."""
    out, place = bytearray(len(planes)), 0
    for plane in range(4):
        size = len(planes) // 4 + (plane < len(planes) % 4)
        out[plane::4] = planes[place : place + size]
        place += size
    return bytes(out)
