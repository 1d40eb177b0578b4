"""A large file as the readers of Xet take it: in xorbs, which are made as they are asked for, and are kept nowhere.

Xorb N of a file is its Nth XORB bytes, as chunks of CHUNK bytes that are not packed. Names of files and xorbs mean
nothing to a reader: a file has its SHA-256 for one.
Source: huggingface/xet-core, xorb_chunk_format.rs and cas_types (QueryReconstructionResponse).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from registry.digest import sha256_bytes
from registry.server.store.large_files import Content

CHUNK = 128 << 10
"""Bytes of a chunk: the most that clients make."""
XORB = 32 << 20
"""Bytes of a file in one xorb."""
_HEAD = 8
_STEP = CHUNK + _HEAD
_AT_ONCE = 8
"""Chunks that are read together."""


@dataclass(frozen=True, slots=True)
class ChunkRun:
    """Chunks of a xorb, one after the other.

    number: of the xorb in its file, from 0.  start, end: the chunks, the last one excluded.  size: bytes of the file.
    """

    number: int
    start: int
    end: int
    size: int

    @property
    def place(self) -> tuple[int, int]:
        """Where they are in the xorb: the first byte, and the last one."""
        return self.start * _STEP, self.start * _STEP + self.size + (self.end - self.start) * _HEAD - 1


def runs(size: int, start: int, end: int) -> list[ChunkRun]:
    """The chunks that hold the bytes from `start` up to `end` of a file of `size` bytes."""
    found = []
    for number in range(start // XORB, -(-end // XORB)):
        first, last = number * XORB, min((number + 1) * XORB, size)
        begin = max(0, start - first) // CHUNK
        stop = -(-(min(end, last) - first) // CHUNK)
        found.append(ChunkRun(number, begin, stop, min(first + stop * CHUNK, last) - (first + begin * CHUNK)))
    return found


def name_of(sha256: str, number: int) -> str:
    """What xorb `number` of a file is called."""
    return sha256_bytes(f"{sha256} {number}".encode())


def xorb(file: Content, number: int) -> Content:
    """Xorb `number` of `file`; an empty one beyond its end."""
    first = number * XORB
    size = max(0, min(XORB, file.size - first))

    def read(start: int, end: int) -> Iterator[bytes]:
        while start < end:
            chunk, skipped = divmod(start, _STEP)
            last = min((chunk + _AT_ONCE) * CHUNK, size)
            data = b"".join(file.read(first + chunk * CHUNK, first + last))
            if not data:
                return  # it has gone, or lost its end
            parts = (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
            packed = b"".join(_head(part) + part for part in parts)
            yield packed[skipped : skipped + end - start]
            start += len(packed) - skipped

    return Content(name_of(file.digest, number), size + -(-size // CHUNK) * _HEAD, read, large=True)


def _head(part: bytes) -> bytes:
    """What stands before a chunk: a version, its bytes, how they are packed (0: not), the bytes that they become."""
    return b"\0" + len(part).to_bytes(3, "little") + b"\0" + len(part).to_bytes(3, "little")
