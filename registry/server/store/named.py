"""Which folder a name stands for, and what stays of a name whose repository is not there any more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from registry import canonical
from registry.errors import InputError
from registry.files import write_atomic
from registry.server.names import RepoName


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What a name that had a repository tells: it was deleted, or it moved. The name is not given again."""

    name: RepoName
    by: str
    """Who did it."""
    at: int
    """When: seconds since 1970."""
    tags: Mapping[str, str]
    """{tag: commit} of what was deleted."""
    private: bool
    """Whether it was private; then strangers are not told."""
    moved_to: RepoName | None = None
    """The name that it has now; None where it was deleted."""

    @classmethod
    def of(cls, root: Path, name: RepoName) -> Tombstone | None:
        """The one of that name; None where there is none."""
        try:
            told = canonical.read(cls._place(root, name), max_bytes=64 << 20)
        except InputError:
            return None if not cls._place(root, name).exists() else cls(name, "", 0, {}, private=True)
        moved = told.get("movedTo")
        kind, owner, short = moved.split("/") if isinstance(moved, str) else ("", "", "")
        private = told.get("private") is not False
        return cls(name, told["deletedBy"], told["deletedAt"], told["tags"], private,
                   RepoName(kind, owner, short) if moved else None)  # fmt: skip

    @property
    def was_public(self) -> bool:
        """Whether anybody could see what was deleted; one that does not say so keeps it to itself."""
        return not self.private

    def write(self, root: Path) -> None:
        """Keep it."""
        told = {"name": self.name.url_path, "deletedBy": self.by, "deletedAt": self.at, "tags": dict(self.tags),
                "private": self.private}  # fmt: skip
        moved = {"movedTo": f"{self.moved_to.kind}/{self.moved_to}"} if self.moved_to else {}
        write_atomic(self._place(root, self.name), canonical.dumps(told | moved))

    @staticmethod
    def _place(root: Path, name: RepoName) -> Path:
        return root / name.kind / name.owner / f"{name.name}.tombstone"


def folder_of(root: Path, name: RepoName) -> Path:
    """Where the repository of that name is, should there be one; `root` is the folder of all."""
    return root / name.kind / name.owner / f"{name.name}.git"


def names_given(root: Path, name: RepoName) -> int:
    """How many names its owner has given to repositories of its kind, whatever became of them."""
    with suppress(FileNotFoundError), os.scandir(root / name.kind / name.owner) as entries:
        return sum(entry.name.endswith((".git", ".tombstone")) for entry in entries)
    return 0


def spelled(root: Path, name: RepoName) -> RepoName | None:
    """The name that a repository or a tombstone has, or an owner alone, which differs by its case; None for none."""
    owner = _entry(root / name.kind, name.owner)
    if owner is None:
        return None
    for ending in (".git", ".tombstone"):
        if (found := _entry(root / name.kind / owner, f"{name.name}{ending}")) is not None:
            return RepoName(name.kind, owner, found.removesuffix(ending))
    return RepoName(name.kind, owner, name.name)


def _entry(folder: Path, name: str) -> str | None:
    """What is called `name` in `folder`, else what differs from that by its case; None for nothing."""
    if (folder / name).exists():
        return name
    found = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    return next((each for each in found if each.lower() == name.lower()), None)
