"""What the tree of a branch is to be, and the commits that make it so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.hub.client.progress import Sending, watched
from registry.hub.transfer import RemoteFile, is_file, is_folder
from registry.manifest import Manifest

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

COMMIT_FILES = 2_000
"""Changes in one commit. The public Hub takes 25,000, but gives up on a commit that takes it longer than a minute."""
COMMIT_BYTES = 100_000_000
"""Bytes that travel in the body of one commit, at most: of files that are small enough to stand in git. The Hub's own
library draws the line there."""
MAX_REGULAR = 10 << 20
"""A larger file never travels in the commit: it goes to the Hub's store of large files before."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory that is to be the tree of a branch.

    keep: paths that are left as they are where they stand already, and are not in the directory.
    """

    root: Path
    manifest: Manifest
    keep: tuple[str, ...] = ()

    def is_at(self, standing: Sequence[RemoteFile]) -> bool:
        """Whether a listing is of exactly this."""
        own = self.manifest.by_path()
        return is_folder([f for f in standing if f.path in own or f.path not in self.keep], self.root, self.manifest)

    def commits(
        self, standing: Sequence[RemoteFile], sending: Sending | None = None
    ) -> list[list[CommitOperationAdd | CommitOperationDelete]]:
        """What makes a tree of the listed files into this one, in as few commits as their limits allow; maybe none.

        What stands there already is in none of them, so what is left of an interrupted series is its rest.
        sending: is told of what is sent.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        listed = {file.path: file for file in standing}
        series: list[list[CommitOperationAdd | CommitOperationDelete]] = [[]]
        travelling = 0
        for entry in self.manifest.entries:
            if entry.path in listed and is_file(listed[entry.path], self.root, entry):
                continue
            size = entry.size if entry.size <= MAX_REGULAR else 0
            if len(series[-1]) == COMMIT_FILES or (series[-1] and travelling + size > COMMIT_BYTES):
                series.append([])
                travelling = 0
            operation = CommitOperationAdd(entry.path, self.root / entry.path)
            operation.upload_info.sha256 = bytes.fromhex(entry.sha256)  # measured already; the Hub measures again
            series[-1].append(watched(operation, sending) if sending else operation)
            travelling += size
        stays = {*self.manifest.by_path(), *self.keep}
        for path in sorted(listed.keys() - stays):
            if len(series[-1]) == COMMIT_FILES:
                series.append([])
            series[-1].append(CommitOperationDelete(path, is_folder=False))
        return [operations for operations in series if operations]
