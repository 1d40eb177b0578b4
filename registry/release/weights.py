"""Which files of a model directory may be released: safetensors, and files that hold no weights."""

from __future__ import annotations

from pathlib import Path

from registry import formats, tensors
from registry.errors import InputError, Refused

_MEND = "save the weights with safetensors and leave this file out of the model directory"


def check(path: Path) -> bool:
    """Whether `path` holds weights. Raises Refused for weights in any form but safetensors.

    A file counts by what it holds, not by what it is called: a pickle, or a zip as torch.save writes it, is refused
    under any name; what is called .safetensors must be one.
    """
    if reason := formats.found(path):
        raise Refused(f"{path.name} {reason}", mend=_MEND)
    if path.suffix != ".safetensors":
        return False
    try:
        tensors.read_header(path)
    except InputError as problem:
        raise Refused(problem.message, mend=_MEND) from problem
    return True
