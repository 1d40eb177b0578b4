"""Which stage wrote what, and which of that a path has to do with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate

from registry.records.run import AFTER_SLASH


class Makers(dict[str, str]):
    """Path of an output, from the project's root -> the address of the stage that wrote it."""

    def __init__(self, wrote: Mapping[str, str]) -> None:
        """wrote: the same."""
        super().__init__(wrote)
        self._sorted = sorted(self)

    def touching(self, path: str) -> dict[str, str]:
        """The outputs that are `path`, lie inside it, or are directories that it lies inside, with their makers.

        Asks for each folder above `path`, and for what is found, not for each output.
        """
        inside = slice(bisect_left(self._sorted, f"{path}/"), bisect_left(self._sorted, f"{path}{AFTER_SLASH}"))
        above = accumulate(path.split("/"), "{}/{}".format)
        return {one: self[one] for one in (*above, *self._sorted[inside]) if one in self}
