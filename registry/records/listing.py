"""Listings: the files of a directory that a stage's record names by its digest alone, because they are too many.

    provenance/listings/DIGEST/0001.txt ...    what `sha256sum` prints of the directory's files, by path, in parts

Law: the parts of a listing, one after the other, are the bytes whose SHA-256 is DIGEST; and that is the digest that the
record has of the directory (`registry.records.run.directory_digest`). So a part that is missing, changed, repeated or
moved is seen. What `rows` gives counts once it has ended, and not before. Memory: one part.

Anybody can check the directory with it: `cat DIGEST/*.txt | sha256sum --check`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from registry.errors import DigestMismatch, GlasshouseError, Malformed, VerificationError
from registry.files import read_bytes
from registry.manifest import MAX_FILES, check_path
from registry.records.layout import LISTINGS

PART = 8 << 20
"""Bytes of a part at most: a Hub keeps so many in git itself. A line ends with it."""
_PLACE = re.compile(rf"{LISTINGS}/([0-9a-f]{{64}})/[0-9]{{4}}\.txt")
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")
MEND = "do not trust the release; report it to its maintainer"


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


def rows(root: Path, digest: str, places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(path, SHA-256) of each file that the listing names, in the order of their paths. places: of its parts.

    Raises VerificationError where a part holds anything but such lines in order, and DigestMismatch, at the end, where
    all of them are not what `digest` is of.
    """
    whole, before, count = hashlib.sha256(), "", 0
    for place in places:
        try:
            data = read_bytes(root / place, PART)
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
