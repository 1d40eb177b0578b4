"""A manifest: which files there are, how large, with which digests; and how two manifests differ.

SHA-256 is what identifies a file. BLAKE3 is a second name of the same bytes, faster to check; it may be unknown, and
two entries are the same with or without it.

Laws: `Manifest.from_json(m.as_json()) == m`; the order in which entries are given does not change `m.sha256`;
`compare(m, m)` is empty.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from registry import canonical
from registry.digest import BOTH, Progress, is_sha256, measure_files
from registry.errors import Malformed
from registry.files import readable

MAX_FILES = 1_000_000
MAX_PATH_BYTES = 1024
_PART = r"\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
PLAIN = re.compile(rf"{_PART}(?:/{_PART})*")
"""Paths that are allowed at first sight, as nearly all are; `check_path` says which others."""


def check_path(path: str) -> None:
    """Refuse, with Malformed, a path that could leave its root or mean two things.

    Allowed: relative POSIX paths in Unicode NFC, without empty parts, `.`, `..`, backslashes, colons at a drive's
    place, control characters, or parts that end in a dot or a space.
    """
    if len(path) <= MAX_PATH_BYTES and PLAIN.fullmatch(path):
        return
    parts = path.split("/")
    bad = (
        len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES
        or any(part in ("", ".", "..") or part != part.rstrip(". ") for part in parts)
        or any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 or character == "\\" for character in path)
        or any(0xD800 <= ord(character) < 0xE000 for character in path)
        or (len(parts[0]) == 2 and parts[0][1] == ":")
        or unicodedata.normalize("NFC", path) != path
    )
    if bad:
        raise Malformed(f"the path {path[:200]!r} is not allowed", mend="use relative POSIX paths in NFC, without `..`")


_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\..*)?")
"""Names that Windows keeps for devices, with or without a suffix."""
_GIT = re.compile(r"(?i)\.git|git~[0-9]+")
"""Names of git's own folder, on disks that fold case or shorten names."""
_FORBIDDEN = frozenset('<>:"|?*\\')
"""Characters that Windows allows in no name; `a:b` is a stream of the file `a` there."""


def check_portable(path: str) -> None:
    """Refuse, with Malformed, a path of a release that is not the same name, of a plain file, on every machine.

    Allowed is what `check_path` allows, of letters, marks, numbers, punctuation, symbols and the plain space; without
    characters that are not seen or that turn the direction of writing, names of devices, and git's own folder.
    """
    check_path(path)
    for part in path.split("/"):
        strange = [c for c in part if c in _FORBIDDEN or (c != " " and unicodedata.category(c)[0] not in "LMNPS")]
        if strange or part.startswith(" "):
            shown = ", ".join(f"U+{ord(c):04X}" for c in strange[:3]) or "a space at its start"
            raise Malformed(f"the path {path[:200]!r} holds {shown}, and is not allowed", mend="rename the file")
        if _DEVICES.fullmatch(part) or _GIT.fullmatch(part):
            raise Malformed(
                f"the path {path[:200]!r} names a device, or git's own folder, and is not allowed",
                mend="rename the file, or leave it out",
            )


def twins(paths: Iterable[str]) -> list[str]:
    """Those of `paths`, or of the folders that they lie in, that are one with another on some disks.

    They differ in case alone, or are the same; or one is a file and a folder at once. All are sorted, each is named as
    it was first met and as it was met again.
    """
    spelt: dict[str, str] = {}
    known: set[str] = set()
    clash: set[str] = set()
    for path in paths:
        folder, above = path, []
        while (folder := folder.rpartition("/")[0]) and folder not in known:
            above.append(folder)
        known.update(above)
        for name in (path, *above):
            folded = name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
            if folded in spelt:
                clash |= {name, spelt[folded]}
            spelt.setdefault(folded, name)
    return sorted(clash)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file.

    Raises: Malformed for any other shape.
    Source: in-toto ResourceDescriptor (spec/v1/resource_descriptor.md).
    """

    path: str
    """Where the file is: POSIX, relative to the root; `check_path` holds."""
    size: int
    """How many bytes it has: 0 or more."""
    sha256: str
    """SHA-256 of its bytes, as 64 lowercase hex characters."""
    blake3: str | None = field(default=None, compare=False)
    """BLAKE3 of its bytes; None where it is not known. Two entries are equal whatever they say of it."""

    def __post_init__(self) -> None:
        check_path(self.path)
        if self.size < 0 or not is_sha256(self.sha256) or not (self.blake3 is None or is_sha256(self.blake3)):
            _refuse(f"entry {self.path!r} has size {self.size} and digest {self.sha256[:80]!r}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a directory, sorted by path, no path twice, no two paths or folders alike but for case."""

    entries: tuple[Entry, ...]
    """One for each file, sorted by path."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(sorted(self.entries)))
        if found := twins(entry.path for entry in self.entries):
            _refuse(f"paths that are the same, or differ only in case: {', '.join(found[:5])}")

    @property
    def sha256(self) -> str:
        """One digest that binds every path, size and SHA-256: over the canonical bytes of [{path, sha256, size}]."""
        return canonical.digest([{"path": e.path, "sha256": e.sha256, "size": e.size} for e in self.entries])

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.entries)

    def by_path(self) -> dict[str, Entry]:
        """Entries by their path."""
        return {entry.path: entry for entry in self.entries}

    def without(self, paths: Collection[str]) -> Manifest:
        """The manifest less those paths."""
        return Manifest(tuple(entry for entry in self.entries if entry.path not in paths))

    def as_json(self) -> list[dict[str, Any]]:
        """[{path, sha256, size, blake3}], sorted by path; what is not known of BLAKE3 is left out."""
        return [
            {"path": e.path, "sha256": e.sha256, "size": e.size} | ({"blake3": e.blake3} if e.blake3 else {})
            for e in self.entries
        ]

    @classmethod
    def from_json(cls, rows: Any) -> Manifest:
        """The manifest that `as_json` wrote. Raises Malformed for any other value."""
        if not isinstance(rows, list) or len(rows) > MAX_FILES:
            _refuse("a manifest is a list of at most a million {path, sha256, size, blake3}")
        return cls(tuple(_entry(row) for row in rows))

    @classmethod
    def of_directory(cls, root: Path, progress: Progress | None = None) -> Manifest:
        """Hash every file below `root`, each byte read once for both digests. Raises as `walk` does."""
        found = walk(root)
        measured = measure_files(((root / path, BOTH) for path, _ in found), progress)
        return cls(
            tuple(
                Entry(path, size, digests.sha256 or "", digests.blake3)
                for (path, size), digests in zip(found, measured, strict=True)
            )
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths at which two manifests differ."""

    missing: tuple[str, ...]
    """Paths of the signed manifest alone."""
    unexpected: tuple[str, ...]
    """Paths of the found manifest alone."""
    altered: tuple[str, ...]
    """Paths of both, whose size or SHA-256 differs."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.altered)


def compare(signed: Manifest, found: Manifest) -> Difference:
    """Name every path at which `found` departs from `signed`.

    Pure: reads no file, so an auditor can run it on two JSON files.
    """
    want, got = signed.by_path(), found.by_path()
    return Difference(
        missing=tuple(sorted(want.keys() - got.keys())),
        unexpected=tuple(sorted(got.keys() - want.keys())),
        altered=tuple(sorted(path for path in want.keys() & got.keys() if want[path] != got[path])),
    )


def walk(root: Path, *, max_files: int = MAX_FILES) -> list[tuple[str, int]]:
    """(path, size) of each file below `root`, sorted by path, without opening any.

    Raises Malformed for links, devices, sockets, pipes, paths that `check_path` refuses, too many files or folders;
    InputError where `root` or a folder in it cannot be read.
    """
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        raise Malformed(
            f"{root} is not a directory", mend="give the directory that holds the release, not a link to it"
        )
    found: list[tuple[str, int]] = []
    waiting, folders = [root], 1
    with readable(root):
        while waiting:
            for item in _scan(waiting.pop()):
                info = item.stat(follow_symlinks=False)
                path = Path(item.path).relative_to(root).as_posix()
                check_path(path)
                if stat.S_ISDIR(info.st_mode):
                    waiting.append(Path(item.path))
                    folders += 1
                elif stat.S_ISREG(info.st_mode):
                    found.append((path, info.st_size))
                else:
                    raise Malformed(
                        f"{path} is a link or a device, not a plain file",
                        mend="replace it by the file itself (hf download --local-dir gives plain files)",
                    )
                if max(len(found), folders) > max_files:
                    _refuse(f"more than {max_files} files or folders")
    return sorted(found)


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as items:
        yield from items


def _entry(row: Any) -> Entry:
    match row:
        case {"path": str(path), "sha256": str(sha), "size": int(size), **rest} if not isinstance(size, bool):
            match rest:
                case {"blake3": str(blake)} if len(rest) == 1:
                    return Entry(path, size, sha, blake)
                case {} if not rest:
                    return Entry(path, size, sha)
    _refuse(f"an entry is {{path, sha256, size, blake3}}, found {str(row)[:120]}")


def _refuse(found: str) -> NoReturn:
    raise Malformed(f"not a manifest: {found}", mend="make the release anew: glasshouse release prepare")
