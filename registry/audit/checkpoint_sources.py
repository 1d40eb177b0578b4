"""Where an auditor gets checkpoints from. Whoever has them, they are those of the signed chain or they are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.digest import sha256_file
from registry.errors import DigestMismatch, GlasshouseError, InputError, Unavailable
from registry.hub import step_branches
from registry.hub.client import HubClient
from registry.records.checkpoint_chain import Checkpoint
from registry.records.training_folder import OPTIMIZER, WEIGHTS, step_name

FETCHED = "checkpoints"
"""The folder, in the scratch folder of an audit, of those that were fetched."""


class Source(Protocol):
    """A place that may have checkpoints."""

    def get(self, entry: Checkpoint, into: Path) -> Path:
        """The folder with the files of `entry`, fetched below `into` where need be; not verified.

        Raises GlasshouseError where they are not there.
        """
        ...


@dataclass(frozen=True, slots=True)
class InFolder:
    """A folder with one for each checkpoint, such as step-000100: the checkpoints of a training."""

    root: Path

    def get(self, entry: Checkpoint, into: Path) -> Path:
        """As Source says."""
        folder = self.root / step_name(entry.step)
        if not folder.is_dir():
            raise InputError(f"there is no {folder.name} in {self.root}", mend="give another folder: --checkpoints DIR")
        return folder


@dataclass(frozen=True, slots=True)
class OnHub:
    """Branches `step-000100` of the release's repository."""

    hub: HubClient
    repo: str

    def get(self, entry: Checkpoint, into: Path) -> Path:
        """As Source says."""
        folder = into / step_name(entry.step)
        if not folder.exists():
            self.hub.trees.download(self.repo, step_branches.locate(self.hub, self.repo, entry), folder)
        return folder


def find(sources: Sequence[Source], entry: Checkpoint, into: Path) -> Path:
    """The folder with the very files that `entry` names, from the first source that has them.

    Raises Unavailable, with what each source said, where none has.
    """
    said = []
    for source in sources:
        try:
            folder = source.get(entry, into)
            verify(entry, folder)
        except GlasshouseError as problem:
            said.append(problem.message)
        else:
            return folder
    raise Unavailable(
        f"the checkpoint at step {entry.step} is not at hand: {'; '.join(said) or 'nobody was asked'}",
        mend="ask the maintainer for the checkpoints, and give them with --checkpoints DIR",
    )


def verify(entry: Checkpoint, folder: Path) -> None:
    """Raises DigestMismatch unless weights and optimizer state in `folder` are those of `entry`."""
    for name, wanted in ((WEIGHTS, entry.weights.file), (OPTIMIZER, entry.optimizer.file)):
        path = folder / name
        try:
            found = sha256_file(path)
        except OSError as problem:
            raise InputError(f"{path} cannot be read: {problem.strerror}", mend="fetch it again") from problem
        if found != wanted:
            raise DigestMismatch(str(path), signed=wanted, found=found)
