"""Which files may be released: weights in formats that are known not to run code; others in such, or declared."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from registry.errors import Refused
from registry.formats.known import Safety, identify
from registry.records.kinds import ModelFolder, external

_MEND = (
    "save the weights in a form without code, by one more stage (safetensors, ONNX, or skops for scikit-learn: "
    "docs/how-to/adopt.md), and leave this file out of the model"
)


def check_all(model: ModelFolder, declared: Collection[str] = ()) -> None:
    """Hold each file of `model` to `check`, and refuse a model without weights, or whose tensors lie elsewhere.

    declared: the files of no known format that the maintainer says why they are there. Raises Refused.
    """
    beside = {}
    for path in model.paths:
        for there, name in external(path, identify(model.root / path)):
            if there is None or there not in model.paths:
                raise Refused(
                    f"{path} takes tensors from {name[:200]!r}, which is not a file of the model",
                    mend="release the folder that holds both, and let the model name the file by its place beside it",
                )
            beside[there] = path
    for path in model.paths:
        if path in beside:
            check_harmless(model.root / path)
        else:
            check(model.root / path, declared=path in declared)
    if not model.weights:
        raise Refused(f"{model.root.name} holds no weights", mend="run `dvc repro` first; or name another model")


def check(path: Path, *, declared: bool = False) -> bool:
    """Whether `path` holds weights.

    declared: whether the maintainer says why a file of no known format is there (`declared` in the release section).
    Raises Refused for weights in a format that is not known to be harmless, for what runs code when it is loaded, by
    what it holds and whatever it is called, and for a file of no known format that is not declared.
    """
    check_harmless(path)
    found = identify(path)
    if found.weights and found.trust is not Safety.KNOWN:
        raise Refused(f"{path.name} {found.words}, which no loader of weights without code takes", mend=_MEND)
    if found.trust is Safety.UNKNOWN and not declared:
        raise Refused(
            f"{path.name} {found.words}: nobody can tell that it is harmless",
            mend="leave it out, or declare it: declared: [{path: ..., why: ...}] in the `release` section",
        )
    return found.weights


def check_harmless(path: Path) -> None:
    """Raise Refused for a file that runs code when it is loaded, by what it holds and whatever it is called."""
    found = identify(path)
    if found.trust is Safety.DANGER:
        raise Refused(f"{path.name} {found.words}", mend=_MEND)
