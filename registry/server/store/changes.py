"""What a commit changes, and what its tree then holds."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from registry.server.problems import ENTRY_NOT_FOUND, Problem

MAX_FOLDERS = 50_000
"""Folders that a commit changes, each of which is written anew."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write a file. path: checked.  oid: of a blob that is in git already.  large: whether that is a pointer."""

    path: str
    oid: str
    large: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a file, or a directory with all that is in it. directory: whether it can only be one."""

    path: str
    directory: bool


Change = Put | Delete


def outcome(before: dict[str, None], changes: Sequence[Change]) -> dict[str, str | None]:
    """{path: blob, or None for gone} after `changes`, one after the other. Raises Problem as `commit` does."""
    outcome: dict[str, str | None] = {}
    after, order = set(before), sorted(before)
    for change in changes:
        match change:
            case Put(path, oid):
                outcome[path] = oid
                if path not in after:
                    after.add(path)
                    insort(order, path)
            case Delete(path, directory):
                start, end = (bisect_left(order, f"{path}{letter}") for letter in "/0")  # 0 comes after /
                if not directory and path in after:
                    start = bisect_left(order, path)
                    end = start + 1
                if start == end:
                    word = "folder" if directory else "file"
                    raise Problem(404, f"A {word} with this name doesn't exist: {path}", ENTRY_NOT_FOUND)
                outcome |= dict.fromkeys(order[start:end])
                after.difference_update(order[start:end])
                del order[start:end]
    for folder in above(after):
        if folder in after:
            raise Problem(400, f"{folder}: a part of this path is a file")
    return outcome


def above(paths: Iterable[str]) -> Iterator[str]:
    """The folders that lead to those paths, each once; the root is the empty one.

    Raises Problem 413 for more than MAX_FOLDERS.
    """
    found = set[str]()
    for path in paths:
        folder = path
        while folder and (folder := folder.rpartition("/")[0]) not in found:
            found.add(folder)
            if len(found) > MAX_FOLDERS:
                raise Problem(413, f"more than {MAX_FOLDERS} folders in one commit")
            yield folder
