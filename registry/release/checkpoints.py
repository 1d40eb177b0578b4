"""Publish the checkpoints of a release: a branch each, its files compared with the signed chain before and after.

Each branch is looked at first, so an interrupted publication goes on where it stopped, and what is there already is
not sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from registry import canonical
from registry.digest import Progress
from registry.errors import DigestMismatch, InputError, VerificationError
from registry.hub.client import HubClient
from registry.manifest import Manifest
from registry.project import dvc_links
from registry.records.checkpoint_chain import Chain, Checkpoint
from registry.records.layout import GIT_ATTRIBUTES, PARAMS
from registry.records.project import Project
from registry.records.training_folder import OPTIMIZER, STATE, WEIGHTS, TrainingFolder, step_name

MAX_STATE = 1 << 20


@dataclass(frozen=True, slots=True)
class Local:
    """One checkpoint on this machine, whose bytes are those of the chain."""

    entry: Checkpoint
    """What the chain says of it."""
    folder: Path
    """Where its files are."""
    manifest: Manifest
    """Its files, hashed."""

    @property
    def branch(self) -> str:
        """Where it goes."""
        return step_name(self.entry.step)


@dataclass(frozen=True, slots=True)
class CheckpointPlan:
    """What is to be sent, and what the Hub has already."""

    missing: tuple[Local, ...]
    """Those that are to be sent."""
    standing: tuple[Local, ...]
    """Those that the Hub has."""

    @property
    def size(self) -> int:
        """Bytes to send, at most: a Hub takes no large file twice."""
        return sum(local.manifest.size for local in self.missing)

    def __str__(self) -> str:
        size = decimal(self.size)
        return f"{len(self.missing)} checkpoints, {size} to send at most; {len(self.standing)} are there already"


def kept(project: Path, release: Path) -> Path:
    """Where the project at `project` keeps the checkpoints of the release in the directory `release`.

    Raises InputError where the release's params.yaml cannot be read, and as `dvc_links.plain_folder` does.
    """
    return dvc_links.plain_folder(project, TrainingFolder(project / Project.read(release / PARAMS).trained).checkpoints)


def read(chain: Chain, folder: Path, progress: Progress | None = None) -> tuple[Local, ...]:
    """Every checkpoint of `chain`, from `folder/step-NNNNNN`, hashed.

    Raises InputError for one that is missing or holds other files than it should, DigestMismatch for bytes that are
    not those of the chain, VerificationError for a chain that does not hold.
    """
    chain.verify()
    return tuple(laid_out(entry, folder / step_name(entry.step), progress) for entry in chain.entries)


def plan(hub: HubClient, repo: str, checkpoints: tuple[Local, ...]) -> CheckpointPlan:
    """Which of `checkpoints` stand at the tip of their branches, and which are to be sent. Changes nothing."""
    heads = hub.refs.branches(repo) if hub.repos.exists(repo) else {}
    missing: list[Local] = []
    standing: list[Local] = []
    for local in checkpoints:
        head = heads.get(local.branch)
        (standing if head and _stands(hub, repo, head, local) else missing).append(local)
    return CheckpointPlan(tuple(missing), tuple(standing))


def publish(hub: HubClient, repo: str, planned: CheckpointPlan, progress: Progress | None = None) -> None:
    """Send what is missing, one commit a branch, and compare what the Hub then lists.

    progress: is told the bytes of what is missing, as they are sent. Raises VerificationError where the Hub holds
    other bytes; what HubClient raises.
    """
    if planned.missing:
        hub.repos.ensure(repo)
    for local in planned.missing:
        parent = hub.refs.ensure_branch(repo, local.branch)
        message = f"Checkpoint after {local.entry.step} steps"
        keep = (GIT_ATTRIBUTES,)  # without it, git would not know which files are large
        commit = hub.trees.publish(
            repo, local.folder, message, parent, manifest=local.manifest, branch=local.branch, keep=keep,
            progress=progress,
        )  # fmt: skip
        if not _stands(hub, repo, commit, local):
            raise VerificationError(
                f"{repo}@{local.branch} holds other bytes than the chain of checkpoints names",
                mend="publish again; if it stays so, do not use this Hub",
            )


def _stands(hub: HubClient, repo: str, commit: str, local: Local) -> bool:
    return not hub.trees.compare(repo, commit, local.manifest, keep=(GIT_ATTRIBUTES,))


def laid_out(entry: Checkpoint, folder: Path, progress: Progress | None = None) -> Local:
    """The checkpoint of `entry`, whose files are in `folder`, hashed. Raises as `read` does."""
    manifest = Manifest.of_directory(folder, progress)
    found = manifest.by_path()
    if found.keys() != {WEIGHTS, OPTIMIZER, STATE}:
        raise InputError(
            f"{folder} holds {', '.join(found) or 'nothing'}, not weights, optimizer and state",
            mend="dvc checkout, or dvc repro train",
        )
    for path, wanted in ((WEIGHTS, entry.weights.file), (OPTIMIZER, entry.optimizer.file)):
        if found[path].sha256 != wanted:
            raise DigestMismatch(str(folder / path), signed=wanted, found=found[path].sha256)
    state = canonical.read(folder / STATE, max_bytes=MAX_STATE)
    if not isinstance(state, dict) or state.get("entry") != entry.as_json():
        raise VerificationError(
            f"{folder / STATE} does not carry the entry of the chain for step {entry.step}",
            mend="dvc checkout, or dvc repro train",
        )
    return Local(entry, folder, manifest)
