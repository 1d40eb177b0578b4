"""How the weights of two releases differ, tensor by tensor: equal, moved, changed by so much, added, removed.

A tensor is told by its type, shape and bytes. One that stands under another name, or in another file, was moved. Two
names with one content in the same release are pointed out: weights that are tied, or copied.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.catalog.differences import Kind, ReleaseChange
from registry.catalog.entry import ReleaseEntry
from registry.catalog.shelves import plain
from registry.digest import sha256_file
from registry.errors import DigestMismatch, GlasshouseError
from registry.files import readable
from registry.suffixes import SAFETENSORS
from registry.tensors import FORMATS, Tensor, read_header, tensor_digests, values

PART = "weights"


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor, and the file that holds it."""

    path: Path
    """The file."""
    tensor: Tensor
    """Where it stands there."""
    digest: str
    """SHA-256 of its type, shape and bytes."""


def compare(first: ReleaseEntry, second: ReleaseEntry, roots: Sequence[Path | None]) -> Iterator[ReleaseChange]:
    """Each tensor that differs. roots: where the files of the two lie; None: their digests are all that is compared."""
    before, after = first.listed, second.listed
    paths = sorted({*first.release.weights, *second.release.weights})
    if all(before.get(path) == after.get(path) for path in paths):
        return
    whole = [path for path in paths if None in roots or not path.endswith(SAFETENSORS)]
    note = "--weights says which tensors" if None in roots else "it is compared as a whole"
    for path in whole:
        old, new = before.get(path), after.get(path)
        if old != new:
            kind: Kind = "added" if old is None else "removed" if new is None else "changed"
            yield ReleaseChange(PART, kind, path, old and old[:16], new and new[:16], note)
    if None in roots:
        return
    try:
        held = [_held(each, root) for each, root in zip((first, second), roots, strict=True) if root is not None]
    except GlasshouseError as problem:
        yield ReleaseChange(PART, "unknown", f"{first.name} and {second.name}", note=problem.message)
        return
    yield from _changes(*held)
    yield from _twice(second, held[1])


def _held(entry: ReleaseEntry, root: Path) -> dict[str, Held]:
    """Every tensor of the release at `root` by its name. Raises GlasshouseError for files that are not as signed."""
    found: dict[str, Held] = {}
    for path in sorted(entry.release.weights):
        if not path.endswith(SAFETENSORS):
            continue
        file = plain(root, path)
        with readable(file):
            digest = sha256_file(file)
        if digest != entry.listed[path]:
            raise DigestMismatch(path, signed=entry.listed[path], found=digest)
        digests = tensor_digests(file)
        for tensor in read_header(file):
            name = tensor.name if tensor.name not in found else f"{path}:{tensor.name}"
            found[name] = Held(file, tensor, digests[tensor.name])
    return found


def _changes(before: dict[str, Held], after: dict[str, Held]) -> Iterator[ReleaseChange]:
    homes: dict[str, list[str]] = defaultdict(list)
    for name, held in after.items():
        if name not in before:
            homes[held.digest].append(name)
    taken: set[str] = set()
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is not None and new is not None:
            if old.digest != new.digest:
                yield ReleaseChange(PART, "changed", name, _shape(old), _shape(new), _distance(old, new))
        elif old is not None and homes[old.digest]:
            home = homes[old.digest].pop(0)
            taken.add(home)
            yield ReleaseChange(PART, "changed", name, name, home, "moved: the same numbers under another name")
        elif old is not None:
            yield ReleaseChange(PART, "removed", name, _shape(old), None)
    for name in sorted(after.keys() - before.keys() - taken):
        yield ReleaseChange(PART, "added", name, None, _shape(after[name]))


def _twice(entry: ReleaseEntry, held: dict[str, Held]) -> Iterator[ReleaseChange]:
    """Names of one release that stand for the same numbers."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, each in held.items():
        names[each.digest].append(name)
    for same in names.values():
        if len(same) > 1:
            words = f"the same numbers in {entry.name}"
            yield ReleaseChange(PART, "changed", " = ".join(sorted(same)[:5]), note=words)


def _shape(held: Held) -> str:
    return f"{held.tensor.dtype} {list(held.tensor.shape)}"


def _distance(old: Held, new: Held) -> str | None:
    """How far apart two tensors are: the length of the difference, by the length of the first. None if not told."""
    if (old.tensor.dtype, old.tensor.shape) != (new.tensor.dtype, new.tensor.shape) or old.tensor.dtype not in FORMATS:
        return None
    apart = whole = 0.0
    with old.path.open("rb") as one, new.path.open("rb") as other:
        for left, right in zip(values(one, old.tensor), values(other, new.tensor), strict=True):
            apart += sum((a - b) ** 2 for a, b in zip(left, right, strict=True))
            whole += sum(a * a for a in left)
    if not math.isfinite(apart) or not math.isfinite(whole):
        return "numbers that are not finite"
    return f"relative distance {math.sqrt(apart) / math.sqrt(whole):.3g}" if whole else "from zeros"
