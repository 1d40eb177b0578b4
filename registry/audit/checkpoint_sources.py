"""Where an auditor gets checkpoints from. Whoever has them, they are those of the signed chain or they are none."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from registry.audit import hostile
from registry.digest import sha256_file
from registry.errors import DigestMismatch, GlasshouseError, InputError, Unavailable
from registry.files import readable
from registry.hub import step_branches
from registry.hub.client import HubClient
from registry.records.checkpoint_chain import Checkpoint
from registry.records.training_folder import OPTIMIZER, WEIGHTS, step_name


class CheckpointSource(Protocol):
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
    """The folder."""

    def get(self, entry: Checkpoint, into: Path) -> Path:
        """As CheckpointSource says."""
        folder = self.root / step_name(entry.step)
        if not folder.is_dir():
            raise InputError(f"there is no {folder.name} in {self.root}", mend="give another folder: --checkpoints DIR")
        return folder


@dataclass(frozen=True, slots=True)
class OnHub:
    """Branches `step-000100` of the release's repository."""

    hub: HubClient
    """The client of the Hub."""
    repo: str
    """namespace/name."""

    def get(self, entry: Checkpoint, into: Path) -> Path:
        """As CheckpointSource says."""
        folder = into / step_name(entry.step)
        hostile.folder(into, into.parent)  # a source may have laid a link in its place, where there is no wall
        if not os.path.lexists(folder):
            self.hub.trees.download(self.repo, step_branches.locate(self.hub, self.repo, entry), folder)
        return folder


@dataclass(frozen=True, slots=True)
class Shelf:
    """Every place where checkpoints may be had."""

    sources: tuple[CheckpointSource, ...]
    """The places, the nearest first."""
    into: Path
    """The folder in which those stay that were fetched."""
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def at_hand(self) -> Shelf:
        """The places from which nothing has to be fetched."""
        return replace(self, sources=tuple(source for source in self.sources if isinstance(source, InFolder)))

    def beside(self, folder: Path) -> Shelf:
        """These places, and the checkpoints in `folder`."""
        return replace(self, sources=(*self.sources, InFolder(folder)))

    def find(self, entry: Checkpoint) -> Path:
        """The folder with the very files that `entry` names, from the first place that has them.

        Raises Unavailable, with what each place said, where none has. To be called by any thread.
        """
        said = []
        with self._one_at_a_time:
            for source in self.sources:
                try:
                    folder = source.get(entry, self.into)
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
        with readable(path, mend="fetch it again"):
            found = sha256_file(path)
        if found != wanted:
            raise DigestMismatch(str(path), signed=wanted, found=found)
