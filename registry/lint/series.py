"""What a repository on a Hub shows of a training: trees and digests of main and of every step, no weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from registry.hub.conventions import is_weights
from registry.hub.transfer import RemoteFile
from registry.suffixes import SAFETENSORS

SETTINGS = ("config.json", "generation_config.json")
"""Files at the root of a tree by which a model is built, or generates."""


@dataclass(frozen=True, slots=True)
class Revision:
    """The tree of one branch or tag."""

    name: str
    """The branch or the tag."""
    commit: str
    """The commit that it stands for."""
    files: Mapping[str, RemoteFile]
    """Every file of the tree, by its path."""
    series: str = ""
    """The training that it belongs to, as its name says; "" for the only one."""
    step: int = 0
    """The step that its name says; 0 where it says none."""

    def digest(self, path: str) -> str:
        """What names the bytes of a file: SHA-256 of a large one, git's SHA-1 of another."""
        file = self.files[path]
        return file.sha256 or file.git_oid

    @property
    def weights(self) -> dict[str, str]:
        """{path: digest} of the files of weights; of safetensors only, where there are any."""
        names = [path for path in self.files if is_weights(path)]
        safe = [path for path in names if path.endswith(SAFETENSORS)]
        return {path: self.digest(path) for path in safe or names}


@dataclass(frozen=True, slots=True)
class Published:
    """All that the rules look at."""

    repo: str
    """The repository: `owner/name`."""
    main: Revision
    """The tree of main."""
    steps: tuple[Revision, ...]
    """The tree of each step, by series and step."""
    metadata: Mapping[str, tuple[str, ...]]
    """Keys of `__metadata__`, by the digest of a safetensors file."""
    unreadable: Mapping[str, str]
    """Why a safetensors file could not be understood, or is not whole, by its digest."""
    indexes: Mapping[str, frozenset[str]]
    """The shards that an index names, by the digest of the index file."""
    texts: Mapping[str, str]
    """The card and the licence of main, where they are there."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What each file of settings (SETTINGS) says, by its digest."""
    pointers: frozenset[str] = frozenset()
    """Digests of files that are pointers of Git LFS, and not what they stand for."""
    doubtful: Mapping[str, str] = field(default_factory=dict)
    """What is amiss with a file of weights that was looked into, by its digest."""
    unlike: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """How the weights of step 1 correlate with those of step 0, by the names of the two, where they should."""

    @property
    def series(self) -> dict[str, tuple[Revision, ...]]:
        """Steps by series, in their order."""
        names = dict.fromkeys(step.series for step in self.steps)
        return {name: tuple(step for step in self.steps if step.series == name) for name in names}


def missing_steps(steps: Sequence[int]) -> tuple[int, ...]:
    """Steps that the spacing of `steps` (ascending) promises, and that are not there.

    A spacing counts as promised where it is the commonest, and is seen both before and after the gap (or where steps
    double, three times at least); a change of the spacing, and a shorter last stretch, do not count as a gap.
    """
    spacings = [b - a for a, b in pairwise(steps)]
    if len(spacings) < 3 or _is_whole(steps, {*spacings, *steps} - {0}):
        return ()
    usual, often = Counter(spacings).most_common(1)[0]
    missing: list[int] = []
    regular = [index for index, spacing in enumerate(spacings) if spacing == usual]
    if often >= 2:
        for index in range(regular[0], regular[-1]):
            if spacings[index] > usual and spacings[index] % usual == 0:
                missing += range(steps[index] + usual, steps[index + 1], usual)
    return tuple(sorted({*missing, *_missing_powers(steps)}))


def begins_late(steps: Sequence[int]) -> int:
    """How many steps the spacing of `steps` (ascending) promises before the first of them.

    Only where the first four are as far from each other as the spacing, and a multiple of it: so step 0 is where they
    ought to begin.
    """
    spacings = {b - a for a, b in pairwise(steps[:4])}
    if len(steps) < 4 or len(spacings) != 1 or steps[0] % min(spacings):
        return 0
    return max(0, steps[0] // min(spacings) - 1)


def _is_whole(steps: Sequence[int], spacings: set[int]) -> bool:
    """Whether `steps` are the powers of two below one of `spacings`, then its multiples, and the last step."""
    found, last = {0, *steps}, steps[-1]
    for spacing in spacings:
        powers = [1 << exponent for exponent in range((spacing - 1).bit_length())]
        others = len(found) - len(powers) - last // spacing  # step 0, and perhaps a last of its own
        if others in (1, 2) and found == {*range(0, last + 1, spacing), *powers, last}:
            return True
    return False


def _missing_powers(steps: Sequence[int]) -> list[int]:
    """Steps left out of a stretch of powers of two: 1, 2, 4, 16 lacks 8."""
    powers = {step for step in steps if step > 0 and step & (step - 1) == 0}
    if len(powers) < 4:
        return []
    last = max(powers)  # far from the others it is a round step of a later stretch that happens to be a power
    gaps = [(a, b) for a, b in pairwise(steps) if {a, b} <= powers and (b < last or b <= 4 * a)]
    return [1 << exponent for a, b in gaps for exponent in range(a.bit_length(), b.bit_length() - 1)]
