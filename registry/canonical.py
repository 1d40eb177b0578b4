"""One byte string per JSON value, and a strict way back.

Law: `parse(dumps(x)) == x` for every value `dumps` accepts, but whole floats beyond 2**53, which RFC 8785 writes as
integers and `parse` refuses; and equal values give equal bytes.
Source: RFC 8785 (JSON Canonicalization Scheme); RFC 7493 (I-JSON) for what is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import rfc8785

from registry.digest import sha256_bytes
from registry.errors import InputError, Malformed
from registry.files import read_bytes

MAX_BYTES = 64 << 20
"""The largest JSON document that is parsed unless the caller names another bound."""
MAX_DEPTH = 64
MAX_PARTS = 1_000_000
"""Lists, objects and commas between what stands in them: the statement of 100,000 files has half as many."""
MAX_OBJECTS = 250_000
"""Objects among them: one that is read into a record costs some 3 kB, however little it holds."""
MAX_SAFE_INTEGER = 2**53 - 1
"""RFC 7493, section 2.2: a larger integer does not survive every JSON reader."""

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, or one that never ends: were that no match, each quote in it would be tried in vain, to the end."""
ALIKE = bytes.maketrans(b"{}", b"[]")
OTHERS = bytes(set(range(256)) - set(b"[]{}"))
PLAIN = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))
"""Writes what `_plain` lets through as RFC 8785 has it, ten times as fast."""


def dumps(value: Any) -> bytes:
    """The canonical bytes of `value`. Raises InputError for what JSON cannot say (NaN, sets, huge integers)."""
    try:
        return PLAIN.encode(value).encode() if _plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError) as problem:
        raise InputError(
            f"not a JSON value: {problem}", mend="use strings, finite numbers, lists and maps"
        ) from problem


def indented(value: Any) -> bytes:
    """The JSON value `value` for people: keys in their order, a space of indentation a level.

    Law: the bytes are those of Python's writer. Raises ValueError and TypeError for what JSON cannot say.
    """
    if not _plain(value):
        return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode()
    from pydantic import TypeAdapter

    return TypeAdapter(Any).dump_json(value, indent=1)  # with an indentation Python's writer takes three times as long


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes of `value`, as hex."""
    return sha256_bytes(dumps(value))


def is_canonical(data: bytes) -> bool:
    """Whether `data`, whose shape was checked, is what `dumps` writes. Then `parse` takes it, too."""
    try:
        return dumps(json.loads(data.decode("utf-8"))) == data
    except (ValueError, RecursionError, InputError):
        return False


def parse(
    data: bytes,
    *,
    name: str = "document",
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    max_parts: int = MAX_PARTS,
) -> Any:
    """Read one JSON value from hostile bytes.

    Refuses, with Malformed that names `name`: more than `max_bytes`, nesting deeper than `max_depth`, more than
    `max_parts` things (or MAX_OBJECTS objects), a key twice in one object, NaN and infinities, integers beyond
    2**53 - 1, text that is not UTF-8 or holds lone surrogates. Bytes, depth and counts are judged before any object is
    built.
    """
    if len(data) > max_bytes:
        _refuse(name, f"{len(data)} bytes, more than the {max_bytes} allowed")
    check_shape(data, name=name, max_depth=max_depth, max_parts=max_parts)
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=partial(_object, name),
            parse_constant=lambda word: _refuse(name, f"{word} is not a JSON number"),
            parse_int=partial(_integer, name),
            parse_float=partial(_float, name),
        )
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # raises on a lone surrogate
    except (ValueError, RecursionError) as problem:
        _refuse(name, str(problem))
    return value


def read(path: Path, *, max_bytes: int = MAX_BYTES, max_parts: int = MAX_PARTS) -> Any:
    """`parse` the file at `path`, of which no more than `max_bytes` are read.

    Raises Malformed as `parse` does, and InputError where it cannot be read.
    """
    return parse(read_bytes(path, max_bytes), name=path.name, max_bytes=max_bytes, max_parts=max_parts)


def _refuse(name: str, found: str) -> NoReturn:
    raise Malformed(f"{name} is not strict JSON: {found}", mend=f"write {name} anew with a JSON library")


def _object(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _refuse(name, "a key stands twice in one object")
    return result


def _integer(name: str, digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > MAX_SAFE_INTEGER:
        _refuse(name, f"the integer {digits[:20]} is beyond 2**53 - 1")
    return int(digits)


def _float(name: str, digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        _refuse(name, f"the number {digits[:20]} is too large")
    return number


def _plain(value: Any) -> bool:
    """Whether Python's own JSON writer gives the canonical bytes of `value`: keys are ASCII, for they are sorted by
    UTF-16 units; and numbers are spelt alike in JavaScript."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str or kind is bool or item is None:
                continue
            if isinstance(item, dict):
                if not _are_ascii(item):
                    return False
                below += item.values()
            elif kind is list or kind is tuple:
                below += item
            elif not _is_spelt_alike(kind, item):
                return False
        if not below:
            return True
        level = below
    return False


def _are_ascii(keys: Iterable[Any]) -> bool:
    try:
        return "".join(keys).isascii()
    except TypeError:
        return False


def _is_spelt_alike(kind: type, value: Any) -> bool:
    if kind is int:
        return bool(-MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER)
    return kind is float and bool(1e-4 <= abs(value) < 1e16 and not value.is_integer())


def check_shape(data: bytes, *, name: str = "document", max_depth: int = MAX_DEPTH, max_parts: int = MAX_PARTS) -> None:
    """Refuse JSON that is too deep or holds too much, as `parse` does, at the speed of memory. Nothing of it is built.

    1. marks that stand in strings are counted too: where all of them are few enough, nothing else is looked at
    2. where more strings begin than so many things can have (each a key and a value), they are not even cut out
    3. without its strings, a document has as many things as it has marks
    """
    allowed = f"{max_parts} things, or {MAX_OBJECTS} objects, that are allowed"
    if data.count(b"[") + data.count(b"{") <= max_depth and _is_few(data, max_parts):
        return
    if data.count(b'"') - data.count(b'\\"') > 4 * max_parts + 2:
        _refuse(name, f"it holds more texts than those of the {allowed}")
    outside = STRING.sub(b"", data)
    if not _is_few(outside, max_parts):
        _refuse(name, f"it holds more than the {allowed}")
    if _too_deep(outside, max_depth):
        _refuse(name, f"nested deeper than the {max_depth} allowed")


def _is_few(data: bytes, max_parts: int) -> bool:
    objects = data.count(b"{")
    return objects <= MAX_OBJECTS and objects + data.count(b"[") + data.count(b",") <= max_parts


def _too_deep(outside: bytes, limit: int) -> bool:
    """Whether the brackets of a document, which stands here without its strings, nest deeper than `limit`.

    Each round takes away every innermost pair at once: ten million brackets in milliseconds.
    """
    brackets = outside.translate(ALIKE, OTHERS)
    for _ in range(limit):
        inner = brackets.replace(b"[]", b"")
        if len(inner) == len(brackets):
            break
        brackets = inner
    return b"[]" in brackets or brackets.count(b"[") > limit
