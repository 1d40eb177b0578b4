"""Which files go to the blob store, and which stand in git itself."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.records import layout
from registry.server.problems import Problem
from registry.server.store import attributes, git, objects
from registry.server.store.repository import Repository

MAX_IGNORE = 1 << 20
"""Bytes of a `.gitignore` that count."""
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
    """Where an announced file goes. standing: the digest of what is at its path, in the same store; None for none.

    ignored: whether `.gitignore` leaves it out.
    """

    path: str
    large: bool
    standing: str | None
    ignored: bool = False


def place(repo: Repository, commit: str, files: Sequence[Announced], ignore: str | None = None) -> list[Placement]:
    """Where each of `files` goes, by itself or by the `.gitattributes` of `commit`, and what stands there.

    ignore: the text of the `.gitignore` that is about to be sent; None for the one of `commit`.
    """
    paths = [file.path for file in files]
    here = {row.path: row for row in objects.tree(repo.folder, commit, paths)} if files else {}
    told = attributes.asked_for(repo.folder, commit, paths) if files else set()
    left_out = _ignored(repo, commit, paths, ignore)
    placed = []
    for file in files:
        row, large = here.get(file.path), file.large or (file.size > 0 and file.path in told)
        same_store = row is not None and (row.sha256 is not None) == large
        standing = (row.sha256 or row.oid) if row is not None and same_store else None
        placed.append(Placement(file.path, large, standing, file.path in left_out))
    return placed


def _ignored(repo: Repository, commit: str, paths: Sequence[str], ignore: str | None) -> set[str]:
    """Those of `paths` that the `.gitignore` at the root leaves out; git decides. Source: gitignore(5)."""
    if ignore is None:
        (known,) = objects.contents(repo.folder, [f"{commit}:.gitignore"])
        ignore = "" if known is None else known[:MAX_IGNORE].decode(errors="replace")
    if not ignore.strip() or not paths:
        return set()
    with tempfile.TemporaryDirectory(prefix="index-", dir=repo.folder) as scratch:
        folder = Path(scratch)
        (folder / ".gitignore").write_text(ignore)
        extra = {"GIT_WORK_TREE": scratch, "GIT_LITERAL_PATHSPECS": "0"}
        given = "".join(f"{path}\0" for path in paths).encode()
        words = ("check-ignore", "--no-index", "-z", "--stdin")
        answer = git.run(repo.folder, *words, given=given, extra=extra, allowed=(0, 1), at=folder, seconds=git.SECONDS)
    return set(answer.decode().split("\0")[:-1])
