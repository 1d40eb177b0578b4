"""What a file is, by what it holds: a known format that cannot run code, a danger, or neither.

Law: trust is positive. A file is KNOWN only where its bytes are of a format in FORMATS, it does not claim by its name
to be of another, and no loader of pickles or archives would take it for one of theirs. A DANGER is what runs code when
it is loaded, or hides what does. All else is UNKNOWN: a person has to say what it is.

Only the beginning and the end of a file are read, or what tells its layout; nothing of it is executed.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from registry import tensors
from registry.errors import InputError
from registry.files import readable
from registry.formats import gguf_header, npy_header, onnx_model, pickles, skops_schema
from registry.formats.protobuf import BYTES, OtherFormat, fields
from registry.suffixes import WEIGHTS

EDGE = 1 << 16
"""Bytes that are read of the beginning, and of the end."""
POINTER = b"version https://git-lfs.github.com/spec/v1\n"
POINTER_SIZES = range(len(POINTER), 1024)
"""Bytes of a pointer of Git LFS."""
SKOPS = ".skops"
"""Models of scikit-learn, as skops writes them: an archive of arrays, and of a schema that names types."""
MAX_FOOTER = 64 << 20
"""Bytes of a table's footer that are looked through."""
_PYTHON = b"arrow.py_extension_type"
PICKLED_TYPES = (_PYTHON, *(b64encode(bytes(skip) + _PYTHON)[4 if skip else 0 : -4] for skip in range(3)))
"""How a schema names a type that is pickled: as it is, or in base64, by whichever byte of three it begins with."""
PLACES = 64
"""Places of a long text at which EDGE bytes are looked at: all of one of 4 MiB, and a hundredth of 400 MiB."""
TAIL = EDGE + 22
"""Where an archive's directory can end: its comment has up to 65,535 bytes."""


class Safety(StrEnum):
    """What is known of a file."""

    KNOWN = "known"
    DANGER = "danger"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file is."""

    trust: Safety
    """Whether it can run code."""
    words: str
    """The format's name; for the others, what was found, to follow the file's name."""
    weights: bool = False
    """Whether a loader takes weights from it."""
    external: tuple[str, ...] = ()
    """The files beside it that it takes weights from, as it names them."""


def identify(path: Path) -> Identity:
    """What the file at `path` is. Raises InputError where it cannot be read."""
    with readable(path), path.open("rb") as stream:
        return identify_stream(stream, path, os.fstat(stream.fileno()).st_size)


def identify_stream(stream: BinaryIO, path: Path, size: int) -> Identity:
    """What the file of `size` bytes in `stream`, which can seek, is. path: what it is called."""
    suffix = path.suffix.lower()
    found = _identity(_Opened(path, suffix, stream, size))
    if suffix in WEIGHTS and not found.weights:
        words = f"is called {suffix}, and holds {found.words}" if found.trust is Safety.KNOWN else found.words
        return Identity(found.trust if found.trust is Safety.DANGER else Safety.UNKNOWN, words, weights=True)
    return found


@dataclass(frozen=True)
class _Opened:
    """A file that is looked at.  start, tail: its first and last bytes."""

    path: Path
    suffix: str
    stream: BinaryIO
    size: int

    @cached_property
    def start(self) -> bytes:
        return self.at(0, EDGE)

    @cached_property
    def tail(self) -> bytes:
        return self.at(max(0, self.size - TAIL), TAIL)

    def at(self, place: int, count: int) -> bytes:
        self.stream.seek(place)
        return self.stream.read(count)


def _identity(file: _Opened) -> Identity:
    """A format that accounts for every byte goes first: its bytes may look like anything."""
    if file.suffix == ".safetensors" or file.start[8:9] == b"{":
        with suppress(InputError):
            file.stream.seek(0)
            tensors.layout(file.path, *tensors.head(file.stream, file.path, file.size), file.size)
            if file.suffix in (".safetensors", ""):
                return Identity(Safety.KNOWN, "safetensors", weights=True)
            return Identity(Safety.UNKNOWN, "is a safetensors file by another name", weights=True)
    if is_pointer(file.start, file.size):
        return Identity(Safety.UNKNOWN, "is a pointer of Git LFS, not the file itself")
    if danger := _danger(file):
        return Identity(Safety.DANGER, danger)
    if file.suffix == SKOPS:
        return _skops(file)
    for name, suffixes, weights, test in FORMATS:
        told = test(file)
        if told is None:
            continue
        claimed = CLAIMS.get(file.suffix, name)
        if claimed != name:
            return Identity(Safety.UNKNOWN, f"is called {file.suffix}, and holds {name}")
        if weights and file.suffix not in suffixes:
            return Identity(Safety.UNKNOWN, f"is a {name} file by another name", weights=True)
        return Identity(Safety.KNOWN, name, weights, told)
    claimed = CLAIMS.get(file.suffix, "")
    return Identity(
        Safety.UNKNOWN, f"is called {file.suffix}, and is not {claimed}" if claimed else "is of no format known"
    )


def is_pointer(start: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `start` stands for a large one (git-lfs, docs/spec.md)."""
    return size in POINTER_SIZES and start.startswith(POINTER)


# What runs code, or hides what does.

PROTOCOLS = tuple(b"\x80" + bytes([protocol]) for protocol in range(6))
"""How a pickle of protocol 2 or later begins; what says 0 or 1 there is read all the same."""


def _danger(file: _Opened) -> str | None:
    """Why the file is a danger, to follow its name."""
    started = file.start[:2] in PROTOCOLS
    file.stream.seek(0)
    if started or pickles.calls(file.stream):
        return "is a pickle: loading it runs code"
    if inner := _compressed(file.start):
        return inner
    if file.start.startswith(b"\x93NUMPY") and _npy(file) is None:
        return "holds Python objects, or is a broken .npy: loading it can run code"
    if file.suffix != SKOPS and (file.start.startswith(b"PK") or zipfile.is_zipfile(file.stream)):
        return "is an archive: what is in it is not looked at, and loaders unpickle it"
    if _is_tar(file.start[:512]):
        return "is an archive (tar): what is in it is not looked at, and loaders unpickle it"
    if any(file.at(place, 8) == b"\x89HDF\r\n\x1a\n" for place in _userblocks(file.size)):
        return "is HDF5, in which layers carry code"
    return None


def _skops(file: _Opened) -> Identity:
    """An archive of skops, by the types that its schema names."""
    try:
        foreign = skops_schema.foreign(file.stream, file.size)
    except OtherFormat as problem:
        return Identity(Safety.UNKNOWN, f"is called {SKOPS}, and is not a file of skops: {problem}", weights=True)
    if foreign:
        told = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
        words = f"names what is not on the list of types that are known to be safe: {told[:500]}"
        return Identity(Safety.UNKNOWN, words, weights=True)
    return Identity(Safety.KNOWN, "skops", weights=True)


def _userblocks(size: int) -> list[int]:
    """Where an HDF5 file may begin (HDF5 File Format Specification, II.A)."""
    return [0, *(512 << step for step in range(40) if 512 << step < size)]


def _is_tar(block: bytes) -> bool:
    """Whether the block is a header of tar with the right checksum, as tarfile looks for one."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _compressed(start: bytes) -> str | None:
    """Whether a pickle stands behind a compression that joblib reads: told from the first bytes that come out."""
    for name, magic, opened in COMPRESSED:
        if not start.startswith(magic):
            continue
        out = b""
        with suppress(OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):
            out = opened(start)
        if out and pickles.calls(io.BytesIO(out)):
            return f"is a pickle, compressed by {name}: loading it runs code"
    return None


def _gunzip(data: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        return stream.read1(EDGE)


COMPRESSED: tuple[tuple[str, bytes, Callable[[bytes], bytes]], ...] = (
    ("gzip", b"\x1f\x8b", _gunzip),
    ("zlib", b"\x78", lambda data: zlib.decompressobj().decompress(data, EDGE)),
    ("xz", b"\xfd7zXZ", lambda data: lzma.LZMADecompressor(memlimit=1 << 27).decompress(data, EDGE)),
    ("lzma", b"\x5d\x00", lambda data: lzma.LZMADecompressor(memlimit=1 << 27).decompress(data, EDGE)),
    ("bzip2", b"BZh", lambda data: bz2.BZ2Decompressor().decompress(data, EDGE)),
)  # fmt: skip
"""Name, first bytes, and how the first bytes behind it are had, at most EDGE of them."""


# The formats that are known. Each test: None where the file is not of it, else the other files that it names.

_Names = tuple[str, ...]


def _starts(*magics: bytes) -> Callable[[_Opened], _Names | None]:
    return lambda file: () if file.start.startswith(magics) else None


def _riff(file: _Opened) -> _Names | None:
    return () if file.start[:4] == b"RIFF" and file.start[8:12] in (b"WEBP", b"WAVE") else None


def _table(magic: bytes, before: int) -> Callable[[_Opened], _Names | None]:
    """Whether it is a table of Arrow's that makes no type of Python's: pyarrow before 14.0.1 unpickles those that it is
    told of, wherever the schema stands (CVE-2023-47248).

    magic: with which it begins and ends.  before: bytes from the end at which the footer's length stands.
    """

    def test(file: _Opened) -> _Names | None:
        if not file.start.startswith(magic) or not file.tail.endswith(magic):
            return None
        length = int.from_bytes(file.at(max(0, file.size - before), 4), "little")
        if length > min(MAX_FOOTER, file.size):
            return None
        told = file.start + file.at(max(0, file.size - before - length), length)
        return None if any(word in told for word in PICKLED_TYPES) else ()

    return test


def _gguf(file: _Opened) -> _Names | None:
    if not file.start.startswith(gguf_header.MAGIC):
        return None
    with suppress(OtherFormat):
        gguf_header.read(file.stream, file.size)
        return ()
    return None


def _onnx(file: _Opened) -> _Names | None:
    if file.suffix != ".onnx" and not file.start.startswith(b"\x08"):
        return None
    with suppress(OtherFormat):
        return onnx_model.external_data(file.stream, file.size)
    return None


def _sentencepiece(file: _Opened) -> _Names | None:
    """A tokenizer of sentencepiece: messages of the five fields of its ModelProto, pieces first."""
    if file.suffix != ".model" or not file.start.startswith(b"\x0a"):
        return None
    with suppress(OtherFormat):
        seen = {(field.number, field.wire) for field in fields(file.stream, 0, file.size)}
        return () if (1, BYTES) in seen and seen <= {(number, BYTES) for number in range(1, 6)} else None
    return None


def _npy(file: _Opened) -> _Names | None:
    return () if npy_header.is_numbers(file.start, file.size) else None


CONTROLS = bytes((*range(9), 0x0B, *range(0x0E, 0x20), 0x7F))
"""Bytes that no text has; a form feed is one that some have."""


def _looked_at(file: _Opened) -> Iterator[bytes]:
    """Parts of a file: its beginning and its end, and what lies between, of a long one at PLACES alone."""
    yield file.start
    if file.size > len(file.start):
        yield file.tail
        step = max(EDGE, file.size // PLACES)
        yield from (file.at(place, EDGE) for place in range(EDGE, file.size - len(file.tail), step))


def _text(file: _Opened) -> _Names | None:
    """UTF-8 without control characters, wherever it is looked at. What a machine does with it is not asked."""
    for part in _looked_at(file):
        if len(part.translate(None, CONTROLS)) < len(part):
            return None
        whole = part if file.size <= len(part) else part[4:-4]  # a character may be cut at an edge
        try:
            whole.decode()
        except UnicodeDecodeError:
            if file.size <= len(part) or not _cut(part):
                return None
    return ()


def _cut(part: bytes) -> bool:
    """Whether `part` is UTF-8 but for a character that is cut at an edge."""
    head = next((i for i in range(4) if part[i] & 0xC0 != 0x80), 4)
    for tail in range(4):
        with suppress(UnicodeDecodeError):
            part[head : len(part) - tail].decode()
            return True
    return False


def _json(file: _Opened) -> _Names | None:
    start = file.start.lstrip(b" \t\r\n")[:1]
    return _text(file) if start and start in b'{["-0123456789tfn' else None


FORMATS: tuple[tuple[str, frozenset[str], bool, Callable[[_Opened], _Names | None]], ...] = (
    ("GGUF", frozenset((".gguf",)), True, _gguf),
    ("PNG", frozenset((".png",)), False, _starts(b"\x89PNG\r\n\x1a\n")),
    ("JPEG", frozenset((".jpg", ".jpeg")), False, _starts(b"\xff\xd8\xff")),
    ("GIF", frozenset((".gif",)), False, _starts(b"GIF87a", b"GIF89a")),
    ("WebP or WAVE", frozenset((".webp", ".wav")), False, _riff),
    ("FLAC", frozenset((".flac",)), False, _starts(b"fLaC")),
    ("Parquet", frozenset((".parquet",)), False, _table(b"PAR1", 8)),
    ("Arrow", frozenset((".arrow", ".feather")), False, _table(b"ARROW1", 10)),
    ("an array of numbers", frozenset((".npy",)), True, _npy),
    ("ONNX", frozenset((".onnx",)), True, _onnx),
    ("a sentencepiece model", frozenset((".model",)), False, _sentencepiece),
    ("JSON", frozenset((".json", ".jsonl", ".ipynb", ".sig")), False, _json),
    ("text", frozenset(), False, _text),
)
"""Name, the suffixes that claim it, whether loaders take weights from it, and the test. The first that fits counts."""
CLAIMS = {suffix: name for name, suffixes, _, _ in FORMATS for suffix in suffixes} | {
    ".safetensors": "safetensors",
    SKOPS: "skops",
}
"""What a suffix claims."""
