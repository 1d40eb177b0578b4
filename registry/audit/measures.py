"""Which stages of a release measured its weights, and where what they read can be had: no code runs for it.

    laid      what the release has, by digest: its weights above all, and whatever records a stage reads
    makers    stages that make the rest anew, such as tokens; what the commit has, or a .dvc file names, is there
    stages    those that measure: they read the weights, and wrote figures that the release has

Law: no stage of a plan wrote the weights. What only the training makes cannot be had, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.errors import Unavailable
from registry.records import layout
from registry.records.listing import Listings
from registry.records.run import Measured, StageRun, Stages, touches

RECORDS = (layout.EVALUATION, layout.HARNESS)
"""Figures in formats of ours."""
MAX_LAID = 100_000
"""Files of a directory that are laid: as many as a release can have."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an evaluation needs to be run again."""

    stages: tuple[str, ...]
    """The stages that measure, in the order of their names."""
    makers: tuple[str, ...]
    """The stages that make what the release does not have, each after those it reads from."""
    laid: Mapping[str, str]
    """Where in the source a file of the release lies, by that place: its path in the release."""
    held: tuple[Measured, ...]
    """What the makers write and the stages read, as it was when they measured."""
    compared: Mapping[str, str]
    """The figures: where the source has them, by their path in the release."""


def plan(known: Stages, digests: Mapping[str, str], weights: frozenset[str], listings: Listings) -> Plan:
    """The plan for a release.

    known: its stages.  digests: SHA-256 of each of its files.  weights: SHA-256 of those with weights.  listings: what
    lies in the directories, as far as the release has it. Raises Unavailable where no stage measured, where what one
    reads cannot be had, and where it depends on files of a directory that nobody lists.
    """
    released = {sha256: path for path, sha256 in sorted(digests.items(), reverse=True)}
    making = _Making(known, released, weights, listings)
    compared: dict[str, str] = {}
    stages: list[str] = []
    for one in known.stages:
        found = _figures(one, digests, listings)
        if found and _reads(one, weights, listings):
            stages.append(one.run.stage)
            compared |= found
    if not stages:
        raise Unavailable(
            "no stage of this release is known to have measured its weights: none that reads them wrote figures that "
            f"the release has ({', '.join(RECORDS)}, or DVC's own metrics)",
            mend="glasshouse audit rebuild makes all of it anew",
        )
    for one in known.stages:
        if one.run.stage in stages:
            making.provide(one, frozenset(stages))
    return Plan(tuple(stages), tuple(making.makers), making.laid, tuple(making.held.values()), compared)


class _Making:
    """Where what the stages read can be had, as far as was asked."""

    def __init__(self, known: Stages, released: Mapping[str, str], weights: frozenset[str], listings: Listings) -> None:
        self._stages, self._released, self._weights, self._listings = known.stages, released, weights, listings
        self.makers: dict[str, None] = {}
        self.laid: dict[str, str] = {}
        self.held: dict[str, Measured] = {}
        self._under_way: set[str] = set()

    def provide(self, one: StageRun, measuring: frozenset[str]) -> None:
        """See that everything which the stage reads can be had.  measuring: stages that run later, and make nothing."""
        for dep in one.run.deps:
            if self._at_hand(one, dep):
                continue
            made_by = [each for each in self._stages if any(touches(out.path, dep.path) for out in each.run.outs)]
            if not made_by:
                self._missing(one, dep, "no stage wrote it")
            self.held[dep.path] = dep
            for maker in made_by:
                self._make(maker, one, dep, measuring)

    def _make(self, maker: StageRun, reader: StageRun, dep: Measured, measuring: frozenset[str]) -> None:
        name = maker.run.stage
        if name in self.makers or name in measuring:
            return
        if any(self._weights & self._listings.digests(out) for out in maker.run.outs):
            self._missing(reader, dep, f"only {name} writes it, which wrote the weights, too")
        if name in self._under_way:
            self._missing(reader, dep, f"{name} reads what it writes")
        self._under_way.add(name)
        self.provide(maker, measuring)
        self.makers[name] = None

    def _at_hand(self, one: StageRun, dep: Measured) -> bool:
        """Whether the commit has it, a .dvc file names it, or the release has all of it: that is laid."""
        if dep.path in one.committed or any(touches(row.path, dep.path) for row in one.tracked):
            return True
        if not self._listings.know(dep):
            return False
        laid: dict[str, str] = {}
        for path, sha256 in self._listings.inside(dep):
            if (place := self._released.get(sha256)) is None or len(laid) >= MAX_LAID:
                return False
            laid[path] = place
        self.laid |= laid
        return True

    @staticmethod
    def _missing(one: StageRun, dep: Measured, why: str) -> None:
        raise Unavailable(
            f"the stage {one.run.stage} reads {dep.path}, which the release does not have: {why}",
            mend="glasshouse audit rebuild makes all of it anew",
        )


def _reads(one: StageRun, weights: frozenset[str], listings: Listings) -> bool:
    return any(weights & listings.digests(dep) for dep in one.run.deps)


def _figures(one: StageRun, digests: Mapping[str, str], listings: Listings) -> dict[str, str]:
    """The path in the source of each file of figures that the stage wrote, and did not copy, by that in the release."""
    found: dict[str, str] = {}
    for out in filter(listings.know, one.run.outs):
        for path, sha256 in listings.inside(out):
            named = path.rpartition("/")[2]
            for place in (f"{layout.PROVENANCE}/{named}", f"{layout.FIGURES}/{path}"):
                counts = place in RECORDS or place.startswith(f"{layout.FIGURES}/")
                if counts and digests.get(place) == sha256:
                    found[place] = path
    if not found:
        return found
    read = {sha256 for dep in one.run.deps for sha256 in listings.digests(dep)}
    return {place: path for place, path in found.items() if digests[place] not in read}
