"""Which files of a model directory may be released: safetensors, and files that hold no weights."""

from __future__ import annotations

from pathlib import Path

from registry import tensors
from registry.errors import InputError, Refused

PICKLE_SUFFIXES = frozenset(
    (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras")
)
"""Formats that hold weights and can run code when they are loaded, or that hide pickles inside."""
_PROTOCOLS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_MEND = "save the weights with safetensors and leave this file out of the model directory"


def check(path: Path) -> bool:
    """Whether `path` holds weights. Raises Refused for weights in any form but safetensors.

    A file counts by what it holds, not by what it is called: a pickle, or a zip as torch.save writes it, is refused
    under any name; what is called .safetensors must be one.
    """
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise Refused(f"{path.name} is a format that can carry code", mend=_MEND)
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:2] in _PROTOCOLS or start == b"PK\x03\x04":
        raise Refused(f"{path.name} is a pickle or an archive, found by its first bytes", mend=_MEND)
    if path.suffix != ".safetensors":
        return False
    try:
        tensors.read_header(path)
    except InputError as problem:
        raise Refused(problem.message, mend=_MEND) from problem
    return True
