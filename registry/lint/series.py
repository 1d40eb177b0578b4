"""What a repository on a Hub shows of a training: trees and digests of main and of every step, no weights.

Names of steps as they are seen in the wild: step-000100, step1000, step1000-tokens4B, stage1-step1000-tokens4B,
checkpoint-1000, global_step1000. What stands before the number tells one series from another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from registry import canonical
from registry.errors import InputError
from registry.hub.client import HubClient, in_parallel
from registry.hub.transfer import RemoteFile
from registry.suffixes import SAFETENSORS, SAFETENSORS_INDEX, WEIGHTS

MAX_STEPS = 5_000
MAX_HEADER = 16 << 20
MAX_INDEX = 32 << 20
MAX_TEXT = 4 << 20
_STEP = re.compile(
    r"(?P<series>(?:.*[-_/.])?)(?:global_?)?(?:step|checkpoint|iter)[-_]?(?P<step>[0-9]{1,12})(?![0-9]).*"
)


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
    """Why a safetensors file could not be understood, by its digest."""
    indexes: Mapping[str, frozenset[str]]
    """The shards that an index names, by the digest of the index file."""
    texts: Mapping[str, str]
    """The card and the licence of main, where they are there."""

    @property
    def series(self) -> dict[str, tuple[Revision, ...]]:
        """Steps by series, in their order."""
        names = dict.fromkeys(step.series for step in self.steps)
        return {name: tuple(step for step in self.steps if step.series == name) for name in names}


def parse_step(name: str) -> tuple[str, int] | None:
    """(series, step) of a branch or tag that is named after a step; None for any other."""
    found = _STEP.fullmatch(name)
    return (found["series"].rstrip("-_/."), int(found["step"])) if found else None


def is_weights(path: str) -> bool:
    """Whether a file holds weights, by its name: of the model, not of its optimizer."""
    name = path.rsplit("/", 1)[-1].lower()
    return name.endswith(tuple(WEIGHTS)) and not is_optimizer(path) and "train" not in name


def is_optimizer(path: str) -> bool:
    """Whether a file holds the state of an optimizer, by its name."""
    return "optim" in path.rsplit("/", 1)[-1].lower() or "optim" in path.lower().split("/")[0]


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


def _is_whole(steps: Sequence[int], spacings: set[int]) -> bool:
    """Whether `steps` are the powers of two below one of `spacings`, then its multiples, and the last step."""
    found, last = {0, *steps}, steps[-1]
    for spacing in spacings:
        powers = [1 << exponent for exponent in range((spacing - 1).bit_length())]
        others = len(found) - len(powers) - last // spacing  # step 0, and perhaps a last of its own
        if others in (1, 2) and found == {*range(0, last + 1, spacing), *powers, last}:
            return True
    return False


def read(hub: HubClient, repo: str) -> Published:
    """Everything the rules need, from listings, ranges of headers and small files. No weights are fetched.

    Raises what HubClient raises, and InputError beyond MAX_STEPS.
    """
    named = {**hub.refs.tags(repo), **hub.refs.branches(repo)}
    found = sorted((*parsed, name) for name in named if (parsed := parse_step(name)))
    if len(found) > MAX_STEPS:
        raise InputError(f"{repo} has {len(found)} steps, more than {MAX_STEPS}", mend="lint a smaller repository")

    def revision(row: tuple[str, int, str]) -> Revision:
        series, step, name = row
        files = {file.path: file for file in hub.files.list(repo, named[name])}
        return Revision(name, named[name], files, series, step)

    main_commit = hub.refs.head(repo)
    main = Revision("main", main_commit, {file.path: file for file in hub.files.list(repo, main_commit)})
    steps = tuple(in_parallel(revision, found))
    distinct = {
        each.digest(path): (each.commit, path)
        for each in (main, *steps)
        for path in each.files
        if path.endswith((SAFETENSORS, SAFETENSORS_INDEX))
    }
    headers = [(digest, *place) for digest, place in distinct.items() if not place[1].endswith(SAFETENSORS_INDEX)]
    indexes = [(digest, *place) for digest, place in distinct.items() if place[1].endswith(SAFETENSORS_INDEX)]
    keys = in_parallel(lambda row: (row[0], _metadata(hub, repo, row[1], row[2])), headers)
    return Published(
        repo=repo,
        main=main,
        steps=steps,
        metadata={digest: found for digest, found in keys if isinstance(found, tuple)},
        unreadable={digest: found for digest, found in keys if isinstance(found, str)},
        indexes=dict(in_parallel(lambda row: (row[0], _shards(hub, repo, row[1], row[2])), indexes)),
        texts={
            path: hub.files.read(repo, main.commit, path, max_bytes=MAX_TEXT).decode("utf-8", "replace")
            for path in main.files
            if path in ("README.md", "LICENSE", "LICENSE.md", "LICENSE.txt")
        },
    )


def _metadata(hub: HubClient, repo: str, commit: str, path: str) -> tuple[str, ...] | str:
    """The keys of `__metadata__` of a safetensors file, read by range; or, as words, why it is none."""
    length = int.from_bytes(hub.files.read_range(repo, commit, path, start=0, count=8), "little")
    if not 2 <= length <= MAX_HEADER:
        return f"a header of {length} bytes"
    try:
        data = hub.files.read_range(repo, commit, path, start=8, count=length).rstrip(b" ")
        head = canonical.parse(data, name=path, max_bytes=MAX_HEADER)
    except InputError as problem:
        return problem.message
    metadata = head.get("__metadata__", {}) if isinstance(head, dict) else None
    return tuple(sorted(metadata)) if isinstance(metadata, dict) else "its header is not a map"


def _shards(hub: HubClient, repo: str, commit: str, path: str) -> frozenset[str]:
    """The files that an index names, as paths from the root; none where it is not an index."""
    try:
        index = canonical.parse(hub.files.read(repo, commit, path, max_bytes=MAX_INDEX), name=path, max_bytes=MAX_INDEX)
    except InputError:
        return frozenset()
    names = index.get("weight_map") if isinstance(index, dict) else None
    folder = path.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    return frozenset(prefix + str(name) for name in names.values()) if isinstance(names, dict) else frozenset()


def _missing_powers(steps: Sequence[int]) -> list[int]:
    """Steps left out of a stretch of powers of two: 1, 2, 4, 16 lacks 8."""
    powers = {step for step in steps if step > 0 and step & (step - 1) == 0}
    if len(powers) < 4:
        return []
    last = max(powers)  # far from the others it is a round step of a later stretch that happens to be a power
    gaps = [(a, b) for a, b in pairwise(steps) if {a, b} <= powers and (b < last or b <= 4 * a)]
    return [1 << exponent for a, b in gaps for exponent in range(a.bit_length(), b.bit_length() - 1)]
