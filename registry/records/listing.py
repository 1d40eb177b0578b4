"""Listings: the files of a directory that a stage's record names by its digest alone, because they are too many.

    provenance/listings/DIGEST/0001.txt ...    what `sha256sum` prints of the directory's files, by path, in parts

Law: the parts of a listing, one after the other, are the bytes whose SHA-256 is DIGEST; and that is the digest that the
record has of the directory (`registry.records.run.directory_digest`). So a part that is missing, changed, repeated or
moved is seen. What `rows` gives counts once it has ended, and not before. Memory: one part.

Anybody can check the directory with it: `cat DIGEST/*.txt | sha256sum --check`.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

from registry.errors import DigestMismatch, GlasshouseError, Malformed, Unavailable, VerificationError
from registry.files import read_bytes
from registry.manifest import MAX_FILES, check_path
from registry.records.layout import LISTINGS
from registry.records.run import Measured

ReadFile = Callable[[str, int], bytes]
"""The bytes of the release's file at a path, at most so many. Raises GlasshouseError where it has none, or more."""

PART = 8 << 20
"""Bytes of a part at most: a Hub keeps so many in git itself. A line ends with it."""
_PLACE = re.compile(rf"{LISTINGS}/([0-9a-f]{{64}})/[0-9]{{4}}\.txt")
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")
MEND = "do not trust the release; report it to its maintainer"
TOO_MANY = "ask the maintainer to name the directory as a whole, or to release with a Glasshouse that lists its files"
MAX_READ = 20_000_000
"""Lines of listings that are read for one release: some 30 seconds."""


def parts(digest: str, listing: bytes) -> Iterator[tuple[str, bytes]]:
    """(path in the release, bytes) of each part of `listing`, whose lines are shorter than PART."""
    start = number = 0
    while start < len(listing):
        end = min(start + PART, len(listing))
        end = end if end == len(listing) else listing.rindex(b"\n", start, end) + 1
        number += 1
        yield f"{LISTINGS}/{digest}/{number:04}.txt", listing[start:end]
        start = end


def places(paths: Iterable[str]) -> dict[str, list[str]]:
    """Where the parts of each listing stand among `paths`, in their order, by its digest.

    Raises VerificationError for a path in LISTINGS that is none of a part.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(path for path in paths if path.startswith(f"{LISTINGS}/")):
        place = _PLACE.fullmatch(path)
        if place is None:
            raise VerificationError(f"{path[:200]} is not a part of a listing", mend=MEND)
        found.setdefault(place[1], []).append(path)
    return found


class Listings:
    """What lies in the directories that the stages of one release read and wrote, whoever lists it: their records, or
    the release.

    Where neither does, nothing is known of their files: that is Unavailable, and never taken for none.
    """

    def __init__(
        self, paths: Iterable[str], read: ReadFile, ours: Collection[str] = frozenset(), *, most: int | None = None
    ) -> None:
        """paths: of the release's files.  read: one of them.  ours: SHA-256 of those that `digests` is to find.
        most: lines to read, each as often as it is asked for; None: MAX_READ."""
        self._paths, self._read, self._ours, self._most = paths, read, ours, most or MAX_READ
        self._found: dict[tuple[str, bool], frozenset[str]] = {}
        self._lines = 0

    @classmethod
    def at(cls, root: Path, paths: Iterable[str], ours: Collection[str] = frozenset()) -> Self:
        """Those of the release at `root`."""
        return cls(paths, lambda path, most: read_bytes(root / path, most), ours)

    @cached_property
    def parts(self) -> Mapping[str, Sequence[str]]:
        """Where the parts of each listing are, by its digest. Raises as `places` does."""
        return places(self._paths)

    def know(self, item: Measured) -> bool:
        """Whether it is told which files `item` is, or holds."""
        return item.files is None or item.listed or item.sha256 in self.parts

    def rows(self, sha256: str, name: str) -> Iterator[tuple[str, str]]:
        """`rows` of the directory `name` with that digest. Raises Unavailable where it has no listing, or too long."""
        if sha256 not in self.parts:
            raise Unavailable(f"the files of {name} are too many to be listed in its record", mend=TOO_MANY)
        for row in rows(self._read, sha256, self.parts[sha256]):
            self._lines += 1
            if self._lines > self._most:
                raise Unavailable(
                    f"its listings say more than {self._most} files, each as often as it is asked for",
                    mend="ask the maintainer to name directories as a whole",
                )
            yield row

    def files(self, item: Measured) -> Iterable[tuple[str, str]]:
        """(path inside, SHA-256) of each file of a directory; nothing of a file. Raises as `rows` does."""
        if item.files is None or item.listed:
            return (item.files or {}).items()
        return self.rows(item.sha256, item.path)

    def inside(self, item: Measured) -> Iterator[tuple[str, str]]:
        """(path from the project's root, SHA-256) of each file that `item` is or holds. Raises as `rows` does."""
        if item.files is None:
            yield item.path, item.sha256
        else:
            yield from ((f"{item.path}/{path}", sha256) for path, sha256 in self.files(item))

    def digests(self, item: Measured) -> frozenset[str]:
        """SHA-256 of what was measured, and of those files in it that the release has. Raises as `rows` does.

        A listing is read once for it, and no more is kept of it than that.
        """
        key = item.sha256, item.files is None
        if key not in self._found:
            ours = (sha256 for _, sha256 in self.files(item) if sha256 in self._ours)
            self._found[key] = frozenset((item.sha256, *ours))
        return self._found[key]

    def known_digests(self, item: Measured) -> frozenset[str]:
        """The same, where its files are known; else only SHA-256 of the whole."""
        return self.digests(item) if self.know(item) else frozenset((item.sha256,))


def rows(read: ReadFile, digest: str, places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(path, SHA-256) of each file that the listing names, in the order of their paths. places: of its parts.

    Raises VerificationError where a part holds anything but such lines in order, and DigestMismatch, at the end, where
    all of them are not what `digest` is of.
    """
    whole, before, count = hashlib.sha256(), "", 0
    for place in places:
        try:
            data = read(place, PART)
            lines = data.decode().split("\n")
        except (Malformed, ValueError) as problem:
            raise _refused(place, str(problem)) from problem
        whole.update(data)
        if lines.pop():
            raise _refused(place, "it does not end with a line")
        for line in lines:
            row = _LINE.fullmatch(line)
            if row is None or not _is_path(row[2]):
                raise _refused(place, f"it holds {line[:200]!r}")
            if row[2] <= before or (count := count + 1) > MAX_FILES:
                raise _refused(place, f"{row[2][:200]!r} stands after {before[:200]!r}, or is one of too many")
            before = row[2]
            yield before, row[1]
    if whole.hexdigest() != digest:
        raise DigestMismatch(f"{LISTINGS}/{digest}", signed=digest, found=whole.hexdigest())


def inside(files: Iterable[tuple[str, str]], name: str) -> tuple[str | None, str | None]:
    """What lies at `name` among `files`, as `rows` gives them: the SHA-256 of a file, and the digest of a directory."""
    file, below, count = None, hashlib.sha256(), 0
    start = f"{name}/"
    for path, sha256 in files:
        if path == name:
            file = sha256
        elif path.startswith(start):
            below.update(f"{sha256}  {path.removeprefix(start)}\n".encode())
            count += 1
    return file, below.hexdigest() if count else None


def _is_path(path: str) -> bool:
    try:
        check_path(path)
    except GlasshouseError:
        return False
    return True


def _refused(place: str, found: str) -> VerificationError:
    return VerificationError(f"{place} is not a part of a listing: {found}", mend=MEND)
