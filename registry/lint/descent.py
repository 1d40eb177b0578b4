"""Whether step 1 of a training comes from its step 0: told by a few numbers of both, read by range.

One step of an optimizer changes each weight by about the learning rate, a small part of how far weights are spread at
their beginning. So the numbers of step 1 are nearly those of step 0; where they are unlike, step 0 is of another seed,
or of another model (pythia 203).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import BinaryIO

from registry import tensors
from registry.errors import InputError
from registry.lint.series import Revision
from registry.suffixes import SAFETENSORS
from registry.tensors import Tensor

LIKE = 0.5
"""The least correlation of a tensor with itself, one step before."""
MAX_TENSORS = 5
"""Those that are compared: the largest matrices."""
MAX_NUMBERS = 4096
"""Numbers of each, from its beginning."""
MIN_NUMBERS = 1024
MAX_FILES = 8
"""Files of one step that are looked at."""
MAX_HEADER = 16 << 20

Opener = Callable[[Revision, str], BinaryIO]
"""Opens a file of a step."""


def unlike(steps: Sequence[Revision], opened: Opener) -> dict[tuple[str, str], float]:
    """The correlation of each step 1 with its step 0 that is below LIKE, by their names. Raises what `opened` does."""
    found = {}
    for first, second in _pairs(steps):
        correlation = _compared(first, second, opened)
        if correlation is not None and correlation < LIKE:
            found[first.name, second.name] = correlation
    return found


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Pearson's, of two rows of numbers; None where they do not vary, are not finite, or are not as many."""
    if len(one) != len(other) or not one:
        return None
    try:
        means = math.fsum(one) / len(one), math.fsum(other) / len(other)
        pairs = [(a - means[0], b - means[1]) for a, b in zip(one, other, strict=True)]
        spread = math.sqrt(math.fsum(a * a for a, _ in pairs)) * math.sqrt(math.fsum(b * b for _, b in pairs))
        found = math.fsum(a * b for a, b in pairs) / spread
    except (OverflowError, ValueError, ZeroDivisionError):  # infinities, and rows of one number
        return None
    return found if math.isfinite(found) else None


def _pairs(steps: Sequence[Revision]) -> Iterator[tuple[Revision, Revision]]:
    """Each step 0, with the step 1 of its series, where both have safetensors."""
    there = {(step.series, step.step): step for step in reversed(steps) if step.step < 2 and _files(step)}
    for (series, number), first in there.items():
        if number == 0 and (second := there.get((series, 1))):
            yield first, second


def _compared(first: Revision, second: Revision, opened: Opener) -> float | None:
    """The median correlation of the matrices that both have; None where there are none to compare."""
    ones, others = dict(_tensors(first, opened)), dict(_tensors(second, opened))
    same = [
        name
        for name, (_, tensor) in ones.items()
        if name in others and _kind(tensor) == _kind(others[name][1]) and _is_matrix(tensor)
    ]
    largest = sorted(same, key=lambda name: (-math.prod(ones[name][1].shape), name))[:MAX_TENSORS]
    told = [
        correlation(_numbers(first, *ones[name], opened), _numbers(second, *others[name], opened)) for name in largest
    ]
    return median(found) if (found := [one for one in told if one is not None]) else None


def _files(step: Revision) -> list[str]:
    return sorted(path for path in step.weights if path.endswith(SAFETENSORS))[:MAX_FILES]


def _tensors(step: Revision, opened: Opener) -> Iterable[tuple[str, tuple[str, Tensor]]]:
    """(name, (file, tensor)) of each tensor of a step; none of a file that is not what it is called."""
    for path in _files(step):
        size = step.files[path].size
        try:
            head, start = tensors.head(opened(step, path), Path(path), size, MAX_HEADER)
            rows = tensors.layout(Path(path), head, start, size)
        except InputError:
            continue
        yield from ((tensor.name, (path, tensor)) for tensor in rows)


def _kind(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    return tensor.dtype, tensor.shape


def _is_matrix(tensor: Tensor) -> bool:
    return tensor.dtype in tensors.REAL and len(tensor.shape) > 1 and math.prod(tensor.shape) >= MIN_NUMBERS


def _numbers(step: Revision, path: str, tensor: Tensor, opened: Opener) -> tuple[float, ...]:
    count = min(math.prod(tensor.shape), MAX_NUMBERS) * tensors.DTYPE_BITS[tensor.dtype] // 8
    stream = opened(step, path)
    stream.seek(tensor.start)
    return tensors.numbers(tensor.dtype, stream.read(count))
