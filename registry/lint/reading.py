"""What the rules look at, read from a Hub: listings, ranges of headers, small files, and a few numbers of two steps."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from registry import canonical, tensors
from registry.errors import InputError, Malformed
from registry.formats import known
from registry.hub.client import HubClient, in_parallel
from registry.hub.conventions import parse_step
from registry.lint import descent
from registry.lint.series import SETTINGS, Published, Revision
from registry.suffixes import SAFETENSORS, SAFETENSORS_INDEX

Found = TypeVar("Found")

MAX_STEPS = 5_000
MAX_HEADER = 16 << 20
MAX_INDEX = 32 << 20
MAX_SETTINGS = 1 << 20
MAX_TEXT = 4 << 20
LOOKED_INTO = frozenset((".skops",))
"""Suffixes of weights that are told by what is in them, and not by their names."""
MAX_LOOK = 64 << 20
"""Bytes that are read of one of them."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where bytes stand."""

    commit: str
    """The commit."""
    path: str
    """The file."""
    size: int
    """Its bytes."""


def read(hub: HubClient, repo: str) -> Published:
    """Everything that the rules need. No file of weights is fetched.

    Raises what HubClient raises, and InputError beyond MAX_STEPS.
    """
    main, steps = _trees(hub, repo)
    places: dict[str, Located] = {}
    for revision in (main, *steps):
        for path, file in revision.files.items():
            places.setdefault(revision.digest(path), Located(revision.commit, path, file.size))
    look = _Look(hub, repo)
    small = {digest: place for digest, place in places.items() if place.size in known.POINTER_SIZES}
    pointers = {digest for digest, found in _each(look.is_pointer, small) if found}
    whole = {digest: place for digest, place in places.items() if digest not in pointers}
    heads = _each(look.head, {d: place for d, place in whole.items() if place.path.endswith(SAFETENSORS)})
    return Published(
        repo=repo,
        main=main,
        steps=steps,
        metadata={digest: found for digest, found in heads if isinstance(found, tuple)},
        unreadable={digest: found for digest, found in heads if isinstance(found, str)},
        indexes=dict(_each(look.shards, {d: p for d, p in whole.items() if p.path.endswith(SAFETENSORS_INDEX)})),
        texts={
            path: hub.files.read(repo, main.commit, path, max_bytes=MAX_TEXT).decode("utf-8", "replace")
            for path in main.files
            if path in ("README.md", "LICENSE", "LICENSE.md", "LICENSE.txt")
        },
        settings=dict(_each(look.settings, {d: p for d, p in whole.items() if p.path in SETTINGS})),
        pointers=frozenset(pointers),
        doubtful={
            digest: words
            for digest, words in _each(
                look.doubt, {d: p for d, p in whole.items() if PurePosixPath(p.path).suffix in LOOKED_INTO}
            )
            if words
        },
        unlike=descent.unlike(steps, look.opened_at),
    )


def _trees(hub: HubClient, repo: str) -> tuple[Revision, tuple[Revision, ...]]:
    """The trees of main and of each step, by series and step."""
    named = {**hub.refs.tags(repo), **hub.refs.branches(repo)}
    found = sorted((*parsed, name) for name in named if (parsed := parse_step(name)))
    if len(found) > MAX_STEPS:
        raise InputError(f"{repo} has {len(found)} steps, more than {MAX_STEPS}", mend="lint a smaller repository")

    def revision(row: tuple[str, int, str]) -> Revision:
        series, step, name = row
        files = {file.path: file for file in hub.files.list(repo, named[name])}
        return Revision(name, named[name], files, series, step)

    commit = hub.refs.head(repo)
    main = Revision("main", commit, {file.path: file for file in hub.files.list(repo, commit)})
    return main, tuple(in_parallel(revision, found))


def _each(look: Callable[[Located], Found], places: Mapping[str, Located]) -> list[tuple[str, Found]]:
    """What `look` finds at each of `places`, by digest."""
    return in_parallel(lambda row: (row[0], look(row[1])), places.items())


@dataclass(frozen=True, slots=True)
class _Look:
    """Looks at single files of one repository."""

    hub: HubClient
    """Where it is."""
    repo: str
    """Its name."""

    def opened(self, place: Located) -> io.BufferedReader:
        """The file, as a stream that asks for what is read of it."""
        return io.BufferedReader(_Ranges(self.hub, self.repo, place), BLOCK)

    def opened_at(self, revision: Revision, path: str) -> io.BufferedReader:
        """The file of a revision, likewise."""
        return self.opened(Located(revision.commit, path, revision.files[path].size))

    def read(self, place: Located, most: int) -> bytes:
        """A small file. Raises what HubClient raises, and InputError for more than `most` bytes."""
        return self.hub.files.read(self.repo, place.commit, place.path, max_bytes=most)

    def is_pointer(self, place: Located) -> bool:
        """Whether a small file is a pointer of Git LFS."""
        return known.is_pointer(self.read(place, known.POINTER_SIZES.stop), place.size)

    def head(self, place: Located) -> tuple[str, ...] | str:
        """The keys of `__metadata__` of a safetensors file; or, as words, why it is none, or not whole."""
        try:
            head, start = tensors.head(self.opened(place), Path(place.path), place.size, MAX_HEADER)
            tensors.layout(Path(place.path), head, start, place.size)
        except InputError as problem:
            return problem.message.partition("is not a safetensors file: ")[2] or problem.message
        metadata = head.get("__metadata__", {})
        return tuple(sorted(metadata)) if isinstance(metadata, dict) else "its metadata is not a map"

    def shards(self, place: Located) -> frozenset[str]:
        """The files that an index names, as paths from the root; none where it is not an index."""
        index = self._json(place, MAX_INDEX)
        names = index.get("weight_map") if isinstance(index, dict) else None
        folder = place.path.rpartition("/")[0]
        prefix = f"{folder}/" if folder else ""
        return frozenset(prefix + str(name) for name in names.values()) if isinstance(names, dict) else frozenset()

    def settings(self, place: Located) -> Any:
        """What a file of settings says; None where it is not JSON."""
        return self._json(place, MAX_SETTINGS)

    def doubt(self, place: Located) -> str:
        """What is amiss with a file of weights; "" where it is of a format that is known."""
        try:
            found = known.identify_stream(self.opened(place), Path(place.path), place.size)
        except Malformed as problem:
            return problem.message
        return "" if found.trust is known.Safety.KNOWN else found.words

    def _json(self, place: Located, most: int) -> Any:
        """The value of a small file of JSON; None where it is not that."""
        try:
            return canonical.parse(self.read(place, most), name=place.path, max_bytes=most)
        except InputError:
            return None


BLOCK = 2048
"""Bytes that are asked for at once, at the least: what most headers have."""


class _Ranges(io.RawIOBase):
    """A file on the Hub. Raises Malformed once MAX_LOOK bytes were read of it."""

    def __init__(self, hub: HubClient, repo: str, place: Located) -> None:
        self._hub, self._repo, self._place, self._at, self._left = hub, repo, place, 0, MAX_LOOK

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + (0, self._at, self._place.size)[whence]
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        count = min(len(buffer), self._place.size - self._at)
        if count <= 0:
            return 0
        self._left -= count
        if self._left < 0:
            raise Malformed(
                f"more than {MAX_LOOK} bytes of {self._place.path} are to be read", mend="look at it by hand"
            )
        commit, path = self._place.commit, self._place.path
        data = self._hub.files.read_range(self._repo, commit, path, start=self._at, count=count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
