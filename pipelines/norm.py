"""The length of a gradient, by a sum whose order no division among processes changes.

    row      the numbers of a parameter that share their first index; of a vector, each number
    within   squares of a row, in float64, halved again and again: the right half is added to the left one
    across   the sums of all rows of all parameters, in the model's order, halved likewise

A process that holds some rows of each parameter knows their sums. Where each adds nothing for the rows of others, the
sums of all rows come together exactly: x + 0 is x.

Law: the bits depend on the gradient alone. Additions of whole halves are IEEE's, on every CPU and GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch


def row_sums(gradient: torch.Tensor) -> torch.Tensor:
    """The sum of squares of each row of `gradient`, [rows, ...], as float64, [rows]."""
    wide = gradient.double().reshape(gradient.shape[0], math.prod(gradient.shape[1:]))
    return _halved(wide.mul_(wide))


def rows_of(shape: Iterable[int]) -> int:
    """How many rows a parameter of that shape has."""
    return next(iter(shape))


def length(sums: torch.Tensor) -> float:
    """The length of the gradient whose rows, all of them in order, have those sums of squares; [rows], overwritten."""
    return math.sqrt(float(_halved(sums.view(1, -1))[0]))


def _halved(numbers: torch.Tensor) -> torch.Tensor:
    """The sums of [rows, n], overwritten, along n; n > 0."""
    count = numbers.shape[1]
    while count > 1:
        half = (count + 1) // 2
        numbers[:, : count - half] += numbers[:, half:count]
        count = half
    return numbers[:, 0]
