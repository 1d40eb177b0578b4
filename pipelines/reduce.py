"""Sums that do not depend on how many processes make them.

The terms of a sum, one for each micro-batch, are the leaves of one complete binary tree, and every inner node is
`left + right`. Process r of W holds the r-th run of leaves, which is a whole subtree since both numbers are powers of
two; within a process a binary counter adds it up, and across processes recursive doubling goes on with the same tree:

    level 0    (0 + 1)   (2 + 3)   (4 + 5)   (6 + 7)      within a process
    level 1         (0..3)              (4..7)            process 0 and process 1 exchange
    level 2                  (0..7)

Law: the bits of the sum are the same for every W that divides the number of leaves.
"""

from __future__ import annotations

from collections import deque

import torch
import torch.distributed as dist

PIECE = 1 << 20
"""Numbers that are exchanged at once."""
UNDER_WAY = 4
"""Pieces that are exchanged while another is added."""


class TreeSum:
    """Adds 2**k tensors as a complete binary tree, holding at most k + 1 of them at once."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, torch.Tensor]] = []

    def add(self, leaf: torch.Tensor) -> None:
        """Take the next leaf. The tensor is the sum's from now on: it may be overwritten."""
        level = 0
        while self._stack and self._stack[-1][0] == level:
            leaf = self._stack.pop()[1].add_(leaf)
            level += 1
        self._stack.append((level, leaf))

    def total(self) -> torch.Tensor:
        """The root. Raises ValueError unless the number of leaves is a power of two."""
        if len(self._stack) != 1:
            raise ValueError("a complete tree has a power of two of leaves")
        return self._stack[0][1]


def across(subtotal: torch.Tensor, rank: int, world: int) -> torch.Tensor:
    """The sum over all `world` processes of their `subtotal`, in place, in every process the same bits.

    At level l, process r exchanges with r XOR 2**l, by pieces: one is added while the next are on their way, and
    what was received takes little memory. For floats, too, a + b == b + a, so both get one result.
    """
    pieces = torch.split(subtotal, PIECE)
    received = subtotal.new_empty(min(UNDER_WAY, len(pieces)), min(PIECE, subtotal.numel()))
    distance = 1
    while distance < world:
        partner = rank ^ distance
        under_way: deque[tuple[torch.Tensor, torch.Tensor, list[dist.Work]]] = deque()
        for number, piece in enumerate(pieces):
            if len(under_way) == len(received):
                _add(*under_way.popleft())
            theirs = received[number % len(received), : piece.numel()]
            exchange = [dist.P2POp(dist.isend, piece, partner), dist.P2POp(dist.irecv, theirs, partner)]
            under_way.append((piece, theirs, dist.batch_isend_irecv(exchange)))
        while under_way:
            _add(*under_way.popleft())
        distance *= 2
    return subtotal


def _add(ours: torch.Tensor, theirs: torch.Tensor, exchange: list[dist.Work]) -> None:
    for request in exchange:
        request.wait()
    ours.add_(theirs)


def leaves_of(rank: int, world: int, leaves: int) -> range:
    """The leaves that process `rank` of `world` adds up. Raises ValueError where they would be no whole subtree."""
    if leaves & (leaves - 1) or world & (world - 1) or not 1 <= world <= leaves or not 0 <= rank < world:
        raise ValueError(f"process {rank} of {world} for {leaves} leaves: both numbers must be powers of two")
    share = leaves // world
    return range(rank * share, (rank + 1) * share)
