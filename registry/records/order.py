"""The order in which training sees its rows: a pure function of the seed and the position; and what a row is.

    row r of a split   its tokens from r * context on, context + 1 of them: the last is the first of the row after
    epoch, i           divmod(position, rows)
    row                permutation of range(rows), keyed by (seed, epoch), at i
    step n (1, 2 ...)  takes the positions from (n - 1) * rows of a step on

The permutation is a Feistel network over the smallest even number of bits that holds `rows`, walked until it lands
below `rows` (cycle walking), so a row is found without a table, in O(1) time and memory, from any position, and a
position from any row.

Laws: over one epoch every row comes exactly once; two epochs have unrelated orders;
`row(seed, position(seed, epoch, r, rows), rows) == r`, and the position lies in that epoch.
Source: Black and Rogaway, Ciphers with Arbitrary Finite Domains (CT-RSA 2002); Luby and Rackoff (1988) for four rounds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ROUNDS = 4
MAX_ROWS = 1 << 62


def rows_of(tokens: int, context: int) -> int:
    """How many rows of `context` tokens a split of `tokens` has: each needs one token more, to be predicted."""
    return max(0, (tokens - 1) // context)


def window(row: int, context: int) -> range:
    """The tokens of a row, as positions in its split: context + 1 of them."""
    return range(row * context, (row + 1) * context + 1)


def row(seed: int, position: int, rows: int) -> int:
    """The row, in range(rows), at `position` >= 0 of the endless order. Raises ValueError for others."""
    if not 1 <= rows <= MAX_ROWS or position < 0:
        raise ValueError(f"position {position} of {rows} rows")
    epoch, index = divmod(position, rows)
    return _walk(_forth, seed, epoch, index, rows)


def position(seed: int, epoch: int, row: int, rows: int) -> int:
    """The position at which `row` comes in `epoch` (0, 1, ...). Raises ValueError for a row outside range(rows)."""
    if not 0 <= row < rows <= MAX_ROWS or epoch < 0:
        raise ValueError(f"row {row} of {rows} rows in epoch {epoch}")
    return epoch * rows + _walk(_back, seed, epoch, row, rows)


@dataclass(frozen=True, slots=True)
class Sampling:
    """What one training takes from its tokens, step by step."""

    seed: int
    """Keys the order."""
    context: int
    """Tokens that the model sees at once: 1 or more."""
    step_rows: int
    """Rows that a step takes: 1 or more."""
    steps: int
    """Steps in all."""
    tokens: int
    """How many tokens the split has: enough for one row."""

    @property
    def rows(self) -> int:
        """How many rows the split has."""
        return rows_of(self.tokens, self.context)

    def of_step(self, step: int) -> Iterator[tuple[int, int]]:
        """(position, row) of everything that step `step` (1, 2, ...) takes."""
        for place in range((step - 1) * self.step_rows, step * self.step_rows):
            yield place, row(self.seed, place, self.rows)

    def steps_with(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(step, row) of each time that training takes a row with some of the tokens from `start` to before `end`.

        They come epoch by epoch.
        """
        first = max(0, -(-(start - self.context) // self.context))
        last = min(self.rows - 1, (end - 1) // self.context)
        taken = self.steps * self.step_rows
        for epoch in range(-(-taken // self.rows)):
            for number in range(first, last + 1):
                place = position(self.seed, epoch, number, self.rows)
                if place < taken:
                    yield place // self.step_rows + 1, number


def _walk(permute: Callable[[int, int, bytes], int], seed: int, epoch: int, index: int, rows: int) -> int:
    """`index`, permuted until it is below `rows` again."""
    half = max(1, ((rows - 1).bit_length() + 1) // 2)
    key = f"{seed}:{epoch}:{rows}".encode()
    while True:
        index = permute(index, half, key)
        if index < rows:
            return index


def _forth(value: int, half: int, key: bytes) -> int:
    """A permutation of range(2 ** (2 * half))."""
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for number in range(ROUNDS):
        left, right = right, left ^ _mixed(key, number, right, mask)
    return left << half | right


def _back(value: int, half: int, key: bytes) -> int:
    """What `_forth` permutes to `value`."""
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for number in reversed(range(ROUNDS)):
        left, right = right ^ _mixed(key, number, left, mask), left
    return left << half | right


def _mixed(key: bytes, number: int, half: int, mask: int) -> int:
    digest = hashlib.sha256(b"%s:%d:%d" % (key, number, half)).digest()
    return int.from_bytes(digest[:8], "little") & mask
