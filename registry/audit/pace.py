"""How many segments to train at a time, on how many processes each, so that all are done soonest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SCALING = 0.9
"""A training on p processes is taken to be p ** SCALING times as fast as on one."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How segments are shared out."""

    at_once: int
    """How many are trained at a time."""
    processes: int
    """How many train each: a power of two."""

    def __str__(self) -> str:
        return f"{self.at_once} at once, processes each: {self.processes}"

    @classmethod
    def of(cls, at_once: int, cores: int, leaves: int) -> Pace:
        """With as many processes each as there are cores for, and work: `leaves` micro-batches a step."""
        return cls(at_once, 1 << min(max(1, cores // at_once), leaves).bit_length() - 1)

    def shares(self, steps: Mapping[int, int]) -> list[list[int]]:
        """Which segments are trained one after the other: the longest first, to whoever has the least to do.

        Where several have as little, it goes to one who does not train its neighbour, for that needs a command more.
        steps: of each segment, by its number; at least one.
        """
        shares: list[list[int]] = [[] for _ in range(self.at_once)]
        for number in sorted(steps, key=lambda number: (-steps[number], number)):
            beside = {number - 1, number + 1}
            least = min(shares, key=lambda share: (sum(steps[one] for one in share), not beside.isdisjoint(share)))
            least.append(number)
        return [numbers for numbers in shares if numbers]

    def needs(self, steps: Mapping[int, int]) -> float:
        """When all are done, in steps of one process."""
        longest = max(sum(steps[number] for number in share) for share in self.shares(steps))
        return float(longest / self.processes**SCALING)


def soonest(steps: Mapping[int, int], cores: int, leaves: int) -> Pace:
    """The pace at which segments are done soonest on `cores` cores. steps: as `Pace.shares` says."""
    paces = [Pace.of(1 << power, cores, leaves) for power in range(min(len(steps), cores).bit_length())]
    return min(paces, key=lambda pace: pace.needs(steps))
