"""Whether unpickling a file would call anything. Read opcode by opcode; nothing is built, imported or called.

An unpickler acts as it reads: what is broken further on has run already what stood before. So a file is a danger as
soon as its opcodes, from the first byte on and without an error, get to one that calls something. A stack of marks and
things is kept, so that prose which happens to begin with a letter that is an opcode is not taken for a pickle. Some
loaders read one pickle after the other (torch.load of old files, and whoever calls `pickle.load` until the file ends):
where one ends, the next begins.

Law: a file that `pickle.load` lets call anything but its own built-in types is a danger here, in every protocol.
Source: the opcodes of CPython's pickletools, protocols 0 to 5.
"""

from __future__ import annotations

import os
import pickletools
import re
from typing import BinaryIO

MAX_OPCODES = 1 << 14
"""Opcodes that are looked at: some hundredths of a second, for a release has many files. A longer file that is a pickle
so far is taken for a danger."""
MAX_NAME = 1 << 12
"""Bytes that are kept of a line: of the name of a module, or of what is in it."""
PIECE = 1 << 16
"""Bytes of a line that are read at a time."""
CALLS = frozenset(("REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"))
"""Opcodes that call something: a class, a function, `__setstate__`."""
IMPORTS = frozenset(("GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"))
"""Opcodes that fetch what can be called."""
BY_NAME = frozenset(("GLOBAL", "INST"))
"""Those whose module and name stand in two lines of text."""
_SPACED = re.compile(r"[\s/\\\0]")
"""What stands in no name that can be imported."""
_OPCODES = {opcode.code.encode("latin-1")[0]: opcode for opcode in pickletools.opcodes}
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT4: 4, pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}  # fmt: skip
"""How many bytes hold the length of an argument whose length is told."""


def calls(stream: BinaryIO) -> bool:
    """Whether an unpickler that reads `stream`, from where it stands, gets to an opcode that calls something.

    stream: can seek. Memory stays below 100 kB, whatever lengths the file claims.
    """
    machine, place = _Machine(), stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(place)
    for _ in range(MAX_OPCODES):
        code = stream.read(1)
        opcode = _OPCODES.get(code[0]) if code else None
        if opcode is None:
            return False
        if opcode.name == "STOP":  # whatever stands on the stack: the next pickle begins with an empty one
            machine = _Machine()
            continue
        words = _argument(stream, opcode, end)
        if words is None or not machine.does(opcode, words):
            return False
        if machine.called:
            return True
    return True


class _Machine:
    """What stands on an unpickler's stack: True for a mark, False for anything else."""

    def __init__(self) -> None:
        self.stack: list[bool] = []
        self.marks = 0  # how many of them, so that nobody looks through the stack for each
        self.imported = self.called = False

    def does(self, opcode: pickletools.OpcodeInfo, words: bytes) -> bool:
        """Do what `opcode` does to the stack; whether an unpickler could."""
        if not self._takes(opcode):
            return False
        if opcode.name in BY_NAME and not _is_name(words):
            return False  # there is no such module: the unpickler ends here
        self.imported |= opcode.name in IMPORTS
        self.called = opcode.name in CALLS and self.imported
        self.stack += (after := [thing is pickletools.markobject for thing in opcode.stack_after])
        self.marks += sum(after)
        return len(self.stack) <= MAX_OPCODES

    def _takes(self, opcode: pickletools.OpcodeInfo) -> bool:
        """Take from the stack what `opcode` needs; whether it was there."""
        before = opcode.stack_before
        if opcode.name == "POP" and self.stack and self.stack[-1]:
            self.stack.pop()
            self.marks -= 1
            return True
        if pickletools.stackslice in before or opcode.name == "POP_MARK":
            if not self.marks:
                return False
            self.marks -= 1
            while not self.stack.pop():
                pass
            before = before[: before.index(pickletools.markobject)]
        if len(self.stack) < len(before) or any(self.stack[len(self.stack) - len(before) :]):
            return False
        del self.stack[len(self.stack) - len(before) :]
        return True


def _argument(stream: BinaryIO, opcode: pickletools.OpcodeInfo, end: int) -> bytes | None:
    """Pass over the argument of `opcode`; its text, where it ends with its line. None where the file ends before."""
    if opcode.arg is None:
        return b""
    if opcode.arg.n == pickletools.UP_TO_NEWLINE:
        lines = [_line(stream) for _ in range(2 if opcode.name in BY_NAME else 1)]
        return None if None in lines else b"\n".join(line or b"" for line in lines)
    size = opcode.arg.n
    if size in _LENGTHS:
        told = stream.read(_LENGTHS[size])
        if len(told) < _LENGTHS[size]:
            return None
        size = int.from_bytes(told, "little")
    if stream.tell() + size > end:
        return None
    stream.seek(size, os.SEEK_CUR)
    return b""


def _line(stream: BinaryIO) -> bytes | None:
    """Pass over a line, however long it is; how it begins, without its end. None where the file ends before."""
    found = piece = stream.readline(MAX_NAME)
    while piece and not piece.endswith(b"\n"):
        piece = stream.readline(PIECE)
    return found.removesuffix(b"\n") if piece else None


def _is_name(words: bytes) -> bool:
    """Whether two lines could be a module and a name in it."""
    try:
        module, name = words.decode().split("\n")
    except ValueError:  # which that of other bytes than UTF-8 is, too
        return False
    return all(part and not _SPACED.search(part) for part in (*module.split("."), *name.split(".")))
