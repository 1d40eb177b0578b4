"""Which files go to the blob store, and which stand in git itself."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from registry.records import layout
from registry.server.problems import Problem
from registry.server.store import attributes, git
from registry.server.store.repository import Repository

GIT_ATTRIBUTES = layout.large_files(layout.LARGE_SUFFIXES)
"""The first `.gitattributes` of a repository: what tells git-lfs the same."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that a client is about to send. path: checked.  size: in bytes.  sample: base64 of its first bytes."""

    path: str
    size: int
    sample: str

    @property
    def large(self) -> bool:
        """Whether it goes to the blob store. Raises Problem 400 for a sample that is not base64."""
        try:
            sample = base64.b64decode(self.sample, validate=True)
        except (binascii.Error, ValueError) as problem:
            raise Problem(400, f"the sample of {self.path[:200]!r} is not base64") from problem
        return layout.is_kept_large(self.path, self.size, sample)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an announced file goes. standing: the digest of what is at its path, in the same store; None for none."""

    path: str
    large: bool
    standing: str | None


def place(repo: Repository, commit: str, files: Sequence[Announced]) -> list[Placement]:
    """Where each of `files` goes, by itself or by the `.gitattributes` of `commit`, and what stands there."""
    here = {row.path: row for row in git.tree(repo.folder, commit, [file.path for file in files])} if files else {}
    told = attributes.asked_for(repo.folder, commit, [file.path for file in files]) if files else set()
    placed = []
    for file in files:
        row, large = here.get(file.path), file.large or (file.size > 0 and file.path in told)
        same_store = row is not None and (row.sha256 is not None) == large
        placed.append(Placement(file.path, large, (row.sha256 or row.oid) if row is not None and same_store else None))
    return placed
