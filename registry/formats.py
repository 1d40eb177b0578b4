"""Which files can run code when they are loaded. They are refused: when a release is cut, and when one is verified.

A file counts by what it holds, not by what it is called: a pickle, or a zip as torch.save writes it, is found under any
name. Only its first bytes are read, and nothing of it is executed.
"""

from __future__ import annotations

from pathlib import Path

from registry import tensors
from registry.errors import InputError

SUFFIXES = frozenset((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras"))
"""Formats that hold weights and can run code when they are loaded, or that hide pickles inside."""
PROTOCOLS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
ZIP = b"PK\x03\x04"


def found(path: Path) -> str | None:
    """Why the file at `path` is taken for one that can run code; None where it is not. Raises InputError, unreadable.

    A safetensors file starts with the length of its header, and a header of 640 bytes starts like a pickle: what is
    called .safetensors and is one, to its last byte, is none.
    """
    if path.suffix.lower() in SUFFIXES:
        return "is of a format that can carry code"
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}", mend="check its permissions") from problem
    if start[:2] not in PROTOCOLS and start != ZIP:
        return None
    return (
        None if path.suffix == ".safetensors" and _is_safetensors(path) else "is a pickle or an archive, by its start"
    )


def _is_safetensors(path: Path) -> bool:
    try:
        tensors.read_header(path)
    except InputError:
        return False
    return True
