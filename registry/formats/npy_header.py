"""Whether an array that numpy saved holds numbers, and nothing else.

Source: numpy.lib.format, versions 1 to 3.
"""

from __future__ import annotations

import re
from ast import literal_eval
from contextlib import suppress
from math import prod
from typing import Any

from registry.tensors import MAX_RANK

MAGIC = b"\x93NUMPY"
MAX_TEXT = 4096
"""Bytes of a header that are read: the longest that numpy reads without being told to trust it is a bit longer."""


def is_numbers(start: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `start` is an array of numbers, or texts, that fills it."""
    if not start.startswith(MAGIC) or start[6:7] not in (b"\x01", b"\x02", b"\x03"):
        return False
    width = 2 if start[6] == 1 else 4
    begin = 8 + width + int.from_bytes(start[8 : 8 + width], "little")
    header: Any = None
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        header = literal_eval(start[8 + width : begin].decode("latin-1").strip()[:MAX_TEXT])
    match header:
        case {"descr": str(kind), "shape": tuple(shape), "fortran_order": bool()} if len(header) == 3:
            item = re.fullmatch(r"[<>|=]?([?biufcSUV])(\d{1,4})?", kind)
            sizes = [one for one in shape if isinstance(one, int) and one >= 0]
            if item and len(sizes) == len(shape) <= MAX_RANK:
                width = int(item[2] or 1) * (4 if item[1] == "U" else 1)
                return begin + prod(sizes) * width == size
    return False
