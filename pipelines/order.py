"""The order in which training sees its rows: a pure function of the seed and the position.

    epoch, i = divmod(position, rows)
    row      = permutation of range(rows), keyed by (seed, epoch), at i

The permutation is a Feistel network over the smallest even number of bits that holds `rows`, walked until it lands
below `rows` (cycle walking), so a row is found without a table, in O(1) time and memory, from any position.

Laws: over one epoch every row comes exactly once; two epochs have unrelated orders.
Source: Black and Rogaway, Ciphers with Arbitrary Finite Domains (CT-RSA 2002); Luby and Rackoff (1988) for four rounds.
"""

from __future__ import annotations

import hashlib

ROUNDS = 4
MAX_ROWS = 1 << 62


def row(seed: int, position: int, rows: int) -> int:
    """The row, in range(rows), at `position` >= 0 of the endless order. Raises ValueError for others."""
    if not 1 <= rows <= MAX_ROWS or position < 0:
        raise ValueError(f"position {position} of {rows} rows")
    epoch, index = divmod(position, rows)
    half = max(1, ((rows - 1).bit_length() + 1) // 2)
    key = f"{seed}:{epoch}:{rows}".encode()
    while True:
        index = _feistel(index, half, key)
        if index < rows:
            return index


def _feistel(value: int, half: int, key: bytes) -> int:
    """A permutation of range(2 ** (2 * half))."""
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for number in range(ROUNDS):
        digest = hashlib.sha256(b"%s:%d:%d" % (key, number, right)).digest()
        left, right = right, left ^ (int.from_bytes(digest[:8], "little") & mask)
    return left << half | right
