"""Which large files the refs of a repository lead to, through all their commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.server.store import git, objects, pointers

EVERYTHING = ("--branches", "--tags", "--glob=refs/pr/*")
"""All refs that a repository has."""


def only(folder: Path, tip: str, others: Sequence[str]) -> list[str]:
    """The objects that `tip` leads to, and none of `others`; options of `git rev-list`.

    What git lists for the one without the others is too much: of the others it looks only at the commits next to those
    of `tip`, so what stands in an older one, or in one of the same tree, is there, too.
    """
    words = ("rev-list", "--objects", "--no-object-names")
    found = dict.fromkeys(git.run(folder, *words, tip, "--not", *others).split())
    for name in git.run(folder, *words, *others).split() if found else ():
        found.pop(name, None)
    return [name.decode() for name in found]


@dataclass(frozen=True, slots=True)
class Named:
    """A large file. path: one that it has, or had.  oid: git's name of its pointer.  size: its bytes."""

    path: str
    oid: str
    size: int


def large_files(folder: Path, refs: Sequence[str] = EVERYTHING) -> dict[str, Named]:
    """{sha256: what it is called} of each pointer in the history of `refs`; options of `git rev-list`, or commits."""
    listing = git.run(folder, "rev-list", "--objects", *refs).decode(errors="replace")
    paths = {oid: path for oid, _, path in (line.partition(" ") for line in listing.split("\n") if line)}
    sizes = git.run(
        folder, "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)",
        given="".join(f"{oid}\n" for oid in paths).encode(),
    ).decode()  # fmt: skip
    facts = (line.split(" ") for line in sizes.splitlines())
    small = [oid for oid, kind, size in facts if kind == "blob" and int(size) in pointers.SIZES]
    found = {}
    for oid, data in zip(small, objects.contents(folder, small), strict=True):
        if data is not None and (large := pointers.pointed(data)) is not None:
            found[large[0]] = Named(paths[oid], oid, large[1])
    return found
