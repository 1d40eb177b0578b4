"""Which files are those of the commit, byte for byte.

git's own word for it can be had for nothing: `skip-worktree` and `assume-unchanged` hide a change from it, filters and
line ends take other bytes for the same. Here each file is hashed as git hashes a blob, and held to the blob at HEAD.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from registry.digest import CHUNK
from registry.errors import Refused
from registry.files import readable
from registry.project import git
from registry.project.measure import files
from registry.records.run import Measured

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
"""What the commit has in place of a file of Git LFS. Source: git-lfs, docs/spec.md, "The Pointer"."""
MEND = (
    "commit it, or go back to the commit's: git update-index --no-skip-worktree --no-assume-unchanged FILE && "
    "git checkout HEAD -- FILE; where git changes line ends, write `* -text` into .gitattributes first"
)


class Committed:
    """The files at HEAD below the root of a project."""

    def __init__(self, root: Path, blobs: Mapping[str, str]) -> None:
        """root: the project's.  blobs: git's name for the bytes of each file, by its path from there."""
        self._root, self._blobs, self._sorted = root.resolve(), blobs, sorted(blobs)
        self._same = cache(self._is_same)

    @classmethod
    def at_head(cls, root: Path) -> Committed:
        """Those of the project at `root`."""
        return cls(root, git.committed(root))

    def __iter__(self) -> Iterator[str]:
        """The path of each file of the commit."""
        return iter(self._sorted)

    def __contains__(self, path: str) -> bool:
        """Whether the commit has the file `path`, with whatever bytes."""
        return path in self._blobs

    def check(self, paths: Iterable[str]) -> None:
        """Refuse files of the commit that are one of `paths`, or lie inside one, where the disk has other bytes."""
        if changed := sorted({file for path in paths for file in self._below(path) if not self._same(file)}):
            more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
            raise Refused(f"{', '.join(changed[:5])}{more}: not the bytes that the commit has", mend=MEND)

    def holds(self, item: Measured) -> bool:
        """Whether every file of `item` is one of the commit, with the bytes that the commit has."""
        if item.files is None:
            return self._is_held(item.path)
        if next(self._below(item.path), None) is None:
            return False
        inside = self._inside(item)
        return bool(inside) and all(map(self._is_held, inside))

    def holds_file(self, path: str) -> bool:
        """Whether the file `path` is one of the commit, with the bytes that the commit has."""
        return self._is_held(path)

    def held_in(self, item: Measured) -> set[str]:
        """The files in the directory `item` that are of the commit, with the bytes that the commit has."""
        return {path for path in set(self._below(item.path)).intersection(self._inside(item)) if self._is_held(path)}

    def _inside(self, item: Measured) -> Collection[str]:
        return item.inside() if item.listed else [f"{item.path}/{name}" for name in files(self._root, item.path)]

    def _below(self, path: str) -> Iterator[str]:
        if path in self._blobs:
            yield path
        for file in self._sorted[bisect_left(self._sorted, f"{path}/") :]:
            if not file.startswith(f"{path}/"):
                break
            yield file

    def _is_held(self, file: str) -> bool:
        if file not in self._blobs or not self._same(file):
            return False
        return not (self._root / file).is_symlink() or self._target(file) in self._blobs

    def _is_same(self, file: str) -> bool:
        """Whether the disk has the commit's bytes at `file`; behind a link, also those of what it leads to."""
        path, blob = self._root / file, self._blobs[file]
        with readable(path, mend="mend it, and dvc repro"), suppress(FileNotFoundError):
            if not path.is_symlink():
                return blob in _names(path, blob)
            target = self._target(file)
            same = _name(os.fsencode(path.readlink()), blob) == blob
            return same and (target not in self._blobs or self._same(target))
        return False

    def _target(self, file: str) -> str:
        target = (self._root / file).resolve()
        return target.relative_to(self._root).as_posix() if target.is_relative_to(self._root) else ""


def _names(path: Path, like: str) -> tuple[str, str]:
    """What git calls the bytes of the file at `path`: as they are, and as Git LFS has them, by a hash as of `like`."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        blob, sha256 = _hash(like), hashlib.sha256()
        blob.update(b"blob %d\0" % size)
        while chunk := stream.read(CHUNK):
            blob.update(chunk)
            sha256.update(chunk)
    return blob.hexdigest(), _name(POINTER.format(sha256=sha256.hexdigest(), size=size).encode(), like)


def _name(data: bytes, like: str) -> str:
    blob = _hash(like)
    blob.update(b"blob %d\0" % len(data) + data)
    return blob.hexdigest()


def _hash(like: str) -> hashlib._Hash:
    return hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
