"""Which files may be released: weights as safetensors, and files that are known not to run code, or declared."""

from __future__ import annotations

from pathlib import Path

from registry.errors import Refused
from registry.formats.known import Safety, identify
from registry.suffixes import SAFETENSORS

_MEND = "save the weights with safetensors and leave this file out of the model directory"


def check(path: Path, *, declared: bool = False) -> bool:
    """Whether `path` holds weights.

    declared: whether the maintainer says why a file of no known format is there (`release.declared` in params.yaml).
    Raises Refused for weights in any form but safetensors, for what runs code when it is loaded, by what it holds and
    whatever it is called, and for a file of no known format that is not declared.
    """
    check_harmless(path)
    found = identify(path)
    if found.weights and (found.trust is not Safety.KNOWN or path.suffix != SAFETENSORS):
        words = found.words if found.trust is not Safety.KNOWN else f"holds weights as {found.words}"
        raise Refused(f"{path.name} {words}: not a safetensors file", mend=_MEND)
    if found.trust is Safety.UNKNOWN and not declared:
        raise Refused(
            f"{path.name} {found.words}: nobody can tell that it is harmless",
            mend="leave it out, or declare it in params.yaml: release.declared: [{path: ..., why: ...}]",
        )
    return found.weights


def check_harmless(path: Path) -> None:
    """Raise Refused for a file that runs code when it is loaded, by what it holds and whatever it is called."""
    found = identify(path)
    if found.trust is Safety.DANGER:
        raise Refused(f"{path.name} {found.words}", mend=_MEND)
