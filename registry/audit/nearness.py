"""Is what came out within what the release itself declares? Number by number, as of numpy.allclose.

    |found - signed| <= atol + rtol * |signed|

Law: neither says yes of other names, shapes, types or words, or of a number that is not finite on one side alone; and
what they give is at most 2: |found - signed| / max(|found|, |signed|), over each array, or each figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry import tensors
from registry.errors import GlasshouseError
from registry.records import dvc_metrics
from registry.tensors import REAL, Tensor

MAX_BYTES = 64 << 20
PIECE = 1 << 20
"""Bytes of a tensor that are looked at together."""


def arrays(signed: Path, found: Path, rtol: float, atol: float) -> float | None:
    """How far apart the arrays of two files of safetensors are; None where one of them is not within."""
    try:
        theirs, ours = ({tensor.name: tensor for tensor in tensors.read_header(path)} for path in (signed, found))
        if theirs.keys() != ours.keys():
            return None
        far = 0.0
        for name, tensor in theirs.items():
            apart = _array(signed, tensor, found, ours[name], rtol, atol)
            if apart is None:
                return None
            far = max(far, apart)
        return far
    except GlasshouseError:
        return None


def _array(signed: Path, tensor: Tensor, found: Path, other: Tensor, rtol: float, atol: float) -> float | None:
    if (tensor.dtype, tensor.shape) != (other.dtype, other.shape):
        return None
    apart = theirs = ours = 0.0
    for left, right in zip(_pieces(signed, tensor), _pieces(found, other), strict=True):
        if left == right:
            wholes = tensors.numbers(tensor.dtype, left) if tensor.dtype in REAL else ()
            theirs, ours = math.hypot(theirs, *wholes), math.hypot(ours, *wholes)
            continue
        if tensor.dtype not in REAL:
            return None
        ones, others = tensors.numbers(tensor.dtype, left), tensors.numbers(tensor.dtype, right)
        if not all(near(one, another, rtol, atol) for one, another in zip(ones, others, strict=True)):
            return None
        apart = math.hypot(apart, math.dist(ones, others))
        theirs, ours = math.hypot(theirs, *ones), math.hypot(ours, *others)
    far = apart / max(theirs, ours) if apart else 0.0
    return far if math.isfinite(far) else None


def _pieces(path: Path, tensor: Tensor) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(tensor.start)
        left = tensor.end - tensor.start
        while left:
            data = stream.read(min(PIECE, left))
            yield data
            left = left - len(data) if data else 0


def near(signed: float, found: float, rtol: float, atol: float) -> bool:
    """Whether a number is as near to the signed one as that."""
    if signed == found:
        return True
    return math.isfinite(signed) and math.isfinite(found) and abs(found - signed) <= atol + rtol * abs(signed)


def figures(signed: Path, found: Path, rtol: float, atol: float) -> float | None:
    """How far apart the figures of two files of metrics are; None where one is not within, or anything else differs."""
    try:
        theirs, ours = (dvc_metrics.read(path, max_bytes=MAX_BYTES) for path in (signed, found))
        return max((_figure(*pair, rtol, atol) for pair in _paired(theirs, ours)), default=0.0)
    except (GlasshouseError, _Apart):
        return None


class _Apart(Exception):
    """Two values that no tolerance brings together."""


def _paired(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    """The numbers of two values, side by side. Raises _Apart where anything else differs."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key, value in one.items():
            yield from _paired(value, other[key])
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for left, right in zip(one, other, strict=True):
            yield from _paired(left, right)
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other)):
        yield one, other
    elif type(one) is not type(other) or one != other:
        raise _Apart


def _figure(signed: float, found: float, rtol: float, atol: float) -> float:
    if not near(signed, found, rtol, atol):
        raise _Apart
    return abs(found - signed) / max(abs(found), abs(signed)) if found != signed else 0.0
