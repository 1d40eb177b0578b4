"""A file that another process is writing, followed as it grows. Nobody trusts the code that writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from registry.errors import InputError

MAX_NEW = 1 << 20
"""Bytes that are read at a time."""
MAX_LINE = 4096
"""What is longer is cut off, so that memory stays flat."""


def follow(opened: Callable[[], BinaryIO]) -> Callable[[], list[bytes]]:
    """A function that gives the lines that were ended since its last call; none while the file cannot be opened.

    opened: opens the file anew, and raises OSError or InputError where it cannot be.
    """
    read, rest = 0, b""

    def new() -> list[bytes]:
        nonlocal read, rest
        try:
            with opened() as stream:
                stream.seek(read)
                data = stream.read(MAX_NEW)
        except (OSError, InputError):
            return []
        read += len(data)
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[:MAX_LINE]
        return lines

    return new
