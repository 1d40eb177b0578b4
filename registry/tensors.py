"""What is inside a safetensors file, read without torch and without trusting it.

The digest of the tensors does not depend on how a file lays them out, so two files with other headers or another order
but the same weights have one `tensors_digest`. That is what tells a rebuild with the same weights (TENSORS) from one
with the same file (BITWISE).

Source: the safetensors format, https://github.com/huggingface/safetensors#format (8-byte little-endian header length,
JSON header, then the data; offsets are relative to the data and leave no holes).
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from registry import canonical
from registry.digest import CHUNK
from registry.errors import InputError, Malformed, Unavailable
from registry.files import readable

MAX_HEADER = 100_000_000
"""Bytes of header that the reference reader accepts."""
MAX_RANK = 64
"""Dimensions of a tensor: as many as numpy and torch know. To multiply a million of them would take hours."""
DTYPE_BITS = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip
"""Types of numbers, as safetensors 0.8 names them, and the bits of one. A tensor takes whole bytes."""

FORMATS = {"F32": "f", "F64": "d", "F16": "e"}
"""Types whose numbers `values` gives: safetensors' name -> Python's (struct)."""
REAL = (*FORMATS, "BF16")
"""Types whose numbers `numbers` gives."""
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file."""

    name: str
    """The key in the header."""
    dtype: str
    """The type of its numbers: a key of DTYPE_BITS."""
    shape: tuple[int, ...]
    """Its sizes, outermost first; () for a scalar."""
    start: int
    """Where its first byte is, counted from the start of the file."""
    end: int
    """One past its last byte, counted likewise."""


def read_header(path: Path) -> tuple[Tensor, ...]:
    """The tensors of the safetensors file at `path`, in the order of their data.

    Raises Malformed for anything else: a pickle by that name, a header that lies about lengths, overlaps or holes.
    Raises InputError where the file cannot be read.
    """
    with readable(path), path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        return layout(path, *head(stream, path, size), size)


def head(stream: BinaryIO, path: Path, size: int, most: int = MAX_HEADER) -> tuple[dict[str, Any], int]:
    """The header of a file of `size` bytes, as its JSON says it, and where the data begin.

    stream: from the file's beginning.  path: what the file is called. Raises Malformed for more than `most` bytes, or
    other bytes than those of a JSON object.
    """
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(most, size - 8):
        _refuse(path, f"a header of {length} bytes in a file of {size}")
    found = canonical.parse(stream.read(length).rstrip(b" "), name=path.name, max_bytes=MAX_HEADER)
    if not isinstance(found, dict):
        _refuse(path, "the header is not a JSON object")
    return found, 8 + length


def layout(path: Path, header: dict[str, Any], start: int, size: int) -> tuple[Tensor, ...]:
    """The tensors that `header` lays out, in the order of their data.

    path: what the file is called.  start: where its data begin.  size: its bytes. Raises Malformed where they do not
    fill the file from there to its end.
    """
    rows = ((name, row) for name, row in header.items() if name != "__metadata__")
    tensors = sorted((_tensor(path, name, row, start) for name, row in rows), key=lambda t: (t.start, t.end))
    end = start
    for tensor in tensors:
        if tensor.start != end:
            _refuse(path, f"tensor {tensor.name!r} starts at {tensor.start}, not at {end}")
        end = tensor.end
    if end != size:
        _refuse(path, f"tensors end at byte {end} of {size}")
    return tuple(tensors)


def metadata(path: Path) -> dict[str, str]:
    """What the file at `path` says of itself (`__metadata__`): texts by name. Raises as `read_header` does."""
    with readable(path), path.open("rb") as stream:
        header, _ = head(stream, path, os.fstat(stream.fileno()).st_size)
    found = header.get("__metadata__", {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        _refuse(path, "its metadata is not a map of texts")
    return found


def parameters(path: Path) -> int:
    """How many numbers the tensors of the file at `path` hold together. Raises as `read_header` does."""
    return sum(math.prod(tensor.shape) for tensor in read_header(path))


def tensor_digests(path: Path) -> dict[str, str]:
    """For each tensor name, the SHA-256 of its dtype, shape and bytes. Raises as `read_header` does."""
    with readable(path), path.open("rb") as stream:
        return {tensor.name: _digest(stream, tensor) for tensor in read_header(path)}


def tensors_digest(*paths: Path) -> str:
    """One SHA-256 for all tensors of some files, however they are parted: over the canonical map of `tensor_digests`.

    Raises as `read_header` does, and Malformed for a name that stands in two of the files.
    """
    found: dict[str, str] = {}
    for path in paths:
        more = tensor_digests(path)
        if twice := found.keys() & more.keys():
            _refuse(path, f"tensor {min(twice)!r} stands in another file, too")
        found |= more
    return joined(found)


def joined(digests: Mapping[str, str]) -> str:
    """The `tensors_digest` of tensors with those `digests`, by name."""
    return canonical.digest(dict(digests))


def begun(dtype: str, shape: Sequence[int]) -> hashlib._Hash:
    """The digest of a tensor of that type and shape, to be given its bytes."""
    return hashlib.sha256(canonical.dumps([dtype, list(shape)]))


def values(stream: BinaryIO, tensor: Tensor) -> Iterator[tuple[float, ...]]:
    """The numbers of `tensor`, from the file in `stream`, in pieces, so that memory stays flat.

    Raises Unavailable for a type that is not in FORMATS, and InputError where the file ends early.
    """
    if tensor.dtype not in FORMATS:
        raise Unavailable(f"{tensor.name} is {tensor.dtype}, which is not looked into", mend="replay the segment")
    code = FORMATS[tensor.dtype]
    size = struct.calcsize(code)
    for data in _pieces(stream, tensor, PIECE):
        yield struct.unpack(f"<{len(data) // size}{code}", data)


def numbers(dtype: str, data: bytes) -> tuple[float, ...]:
    """The numbers in `data`, of a type in REAL; what is left at the end, less than one number, is left out."""
    if dtype == "BF16":  # the upper half of a number of 32 bits
        count = len(data) // 2
        wide = bytearray(4 * count)
        wide[2::4], wide[3::4] = data[: 2 * count : 2], data[1 : 2 * count : 2]
        return struct.unpack(f"<{count}f", wide)
    count = len(data) * 8 // DTYPE_BITS[dtype]
    return struct.unpack(f"<{count}{FORMATS[dtype]}", data[: count * DTYPE_BITS[dtype] // 8])


def _digest(stream: BinaryIO, tensor: Tensor) -> str:
    digest = begun(tensor.dtype, tensor.shape)
    for data in _pieces(stream, tensor, CHUNK):
        digest.update(data)
    return digest.hexdigest()


def _pieces(stream: BinaryIO, tensor: Tensor, most: int) -> Iterator[bytes]:
    """The bytes of `tensor`, `most` at a time, and the rest at the end."""
    stream.seek(tensor.start)
    left = tensor.end - tensor.start
    while left:
        data = stream.read(min(most, left))
        if len(data) != min(most, left):
            raise InputError(f"tensor {tensor.name!r} ends early", mend="the file changed while it was read; run again")
        yield data
        left -= len(data)


def _tensor(path: Path, name: str, row: Any, data_start: int) -> Tensor:
    match row:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)]} if len(row) == 3:
            pass
        case _:
            _refuse(path, f"tensor {name!r} has no dtype, shape and two offsets")
    if len(shape) > MAX_RANK:
        _refuse(path, f"tensor {name[:80]!r} has {len(shape)} dimensions, more than {MAX_RANK}")
    if dtype not in DTYPE_BITS or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape):
        _refuse(path, f"tensor {name!r} has dtype {dtype!r} and shape {shape!r}")
    bits = math.prod(shape) * DTYPE_BITS[dtype]
    if not 0 <= start <= end or (end - start) * 8 != bits:
        _refuse(path, f"tensor {name!r} has {end - start} bytes for {dtype} {shape!r}")
    return Tensor(name, dtype, tuple(shape), data_start + start, data_start + end)


def _refuse(path: Path, found: str) -> NoReturn:
    raise Malformed(
        f"{path.name} is not a safetensors file: {found}",
        mend="write weights with safetensors' save_file; pickles are refused",
    )
