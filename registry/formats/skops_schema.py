"""What a file of skops would make when it is loaded, read without skops and without making any of it.

Such a file is a ZIP archive: `schema.json`, a tree of nodes, each with the type that it becomes and how (`__loader__`);
and arrays and bytes that nodes refer to, each by a number.

Law: whatever skops makes a node of is a map with `__loader__`, and each of those is looked at, wherever it stands.
Sources: skops 0.16, skops/io/_persist.py, _audit.py, and old/ for the protocols before; APPNOTE.TXT of PKWARE, 4.3.16.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from registry import canonical
from registry.errors import Malformed
from registry.formats import npy_header
from registry.formats.protobuf import OtherFormat
from registry.formats.skops_types import BY_LOADER

SCHEMA = "schema.json"
MEMBER = re.compile(r"[0-9]{1,20}\.npy|[0-9a-f-]{36}\.bin")
"""An array of numbers, by the number of the node that it was of; or bytes."""
PROTOCOLS = (0, 1, 2)
MAX_SCHEMA = 64 << 20
MAX_DEPTH = 128
MAX_MEMBERS = 20_000
MAX_DIRECTORY = 4 << 20
"""Bytes of the archive's directory."""
HEADER = 1 << 13
"""Bytes of an array that are looked at."""
MARKS = frozenset(("__loader__", "__class__", "__module__"))
_END = struct.Struct("<4s4H2LH")
_LOCATOR = 20
"""Bytes before the end record in which larger archives say where the larger record is."""
_BROKEN = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, KeyError, IndexError, zlib.error,
    struct.error,
)  # fmt: skip
"""What zipfile raises for an archive that is not one."""


def foreign(stream: BinaryIO, size: int) -> tuple[str, ...]:
    """What the file of `size` bytes would make that is not on the list of types known to be safe, each named once.

    Raises OtherFormat for what is not a file of skops, to its last byte.
    """
    _check_end(stream, size)
    try:
        with zipfile.ZipFile(stream) as archive:
            rows = _members(archive)
            with archive.open(SCHEMA) as opened:
                schema = _schema(opened.read(MAX_SCHEMA + 1))
            found = tuple(sorted({name for node in _nodes(schema) if (name := _amiss(node))}))
            if not found:
                _check_numbers(archive, rows)
            return found
    except OtherFormat:
        raise
    except _BROKEN as problem:
        raise OtherFormat(f"its archive cannot be read ({type(problem).__name__})") from problem


def _schema(data: bytes) -> dict[str, Any]:
    try:
        value = canonical.parse(data, name=SCHEMA, max_bytes=MAX_SCHEMA, max_depth=MAX_DEPTH)
    except Malformed as problem:
        raise OtherFormat(problem.message) from problem
    if not isinstance(value, dict) or type(value.get("protocol")) is not int or value["protocol"] not in PROTOCOLS:
        raise OtherFormat(f"its {SCHEMA} is not of a protocol that is known")
    return value


def _check_end(stream: BinaryIO, size: int) -> None:
    """Raise OtherFormat unless the archive begins and ends with the file, and its directory is one that can be read."""
    stream.seek(0)
    start = stream.read(4)
    stream.seek(max(0, size - _END.size - _LOCATOR))
    tail = stream.read(_END.size + _LOCATOR)
    if start != b"PK\x03\x04" or len(tail) < _END.size:
        raise OtherFormat("it does not begin as an archive")
    mark, disk, first, here, count, length, offset, comment = _END.unpack(tail[-_END.size :])
    if mark != b"PK\x05\x06" or disk or first or comment or here != count or offset + length + _END.size != size:
        raise OtherFormat("its archive does not end where the file does")
    if tail.startswith(b"PK\x06\x07") or count > MAX_MEMBERS or length > MAX_DIRECTORY:
        raise OtherFormat(f"its archive has more than {MAX_MEMBERS} members")


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members. Raises OtherFormat for others than those of skops."""
    rows = archive.infolist()
    names = {row.filename for row in rows}
    other = next((name for name in sorted(names) if name != SCHEMA and not MEMBER.fullmatch(name)), None)
    if other is not None:
        raise OtherFormat(f"its archive holds {other[:80]!r}")
    if SCHEMA not in names or len(names) != len(rows):
        raise OtherFormat(f"its archive has no {SCHEMA}, or two members of one name")
    if any(row.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or row.flag_bits & 1 for row in rows):
        raise OtherFormat("its archive is packed otherwise than by deflate, or encrypted")
    return rows


def _check_numbers(archive: zipfile.ZipFile, rows: list[zipfile.ZipInfo]) -> None:
    for row in rows:
        if row.filename.endswith(".npy"):
            with archive.open(row) as opened:
                if not npy_header.is_numbers(opened.read(HEADER), row.file_size):
                    raise OtherFormat(f"{row.filename} in it is not an array of numbers")


def _nodes(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every map in `value` that could be taken for a node; `value` itself is one."""
    left: list[Any] = [value]
    yield value
    while left:
        here = left.pop()
        for inner in here.values() if isinstance(here, dict) else here:
            if isinstance(inner, dict | list):
                left.append(inner)
                if isinstance(inner, dict) and inner.keys() & MARKS:
                    yield inner


def _amiss(node: dict[str, Any]) -> str:
    """What `node` would become, where that is not known to be safe; else ""."""
    loader, module, name = (node.get(key) for key in ("__loader__", "__module__", "__class__"))
    told = f"{module}.{name}"[:200]
    if not isinstance(loader, str) or loader not in BY_LOADER:
        return f"{told} ({str(loader)[:80]})"
    return "" if told in BY_LOADER[loader] else told
