"""Where checkpoints live on a Hub: on branches `step-000100`, found by the digests of the signed chain.

A branch moves forward when another training publishes its checkpoint of the same step, so the one that a release
names may stand further down the branch's history: `locate` finds it there.
"""

from __future__ import annotations

import hashlib

from registry.errors import InputError
from registry.hub.client import HubClient
from registry.hub.transfer import RemoteFile
from registry.records.checkpoint_chain import Checkpoint
from registry.records.training_folder import OPTIMIZER, WEIGHTS, step_name

MAX_SMALL = 64 << 20
"""Bytes of a file that stands in git itself: a Hub takes no larger ones."""


def locate(hub: HubClient, repo: str, entry: Checkpoint) -> str:
    """The newest commit of the branch of `entry` that holds its weights and optimizer state, by their digests.

    What the Hub lists proves nothing: hash what you download. Raises InputError where no commit holds them.
    """
    name = step_name(entry.step)
    if name in hub.refs.branches(repo):
        for commit in hub.refs.history(repo, name):
            if holds(hub, repo, commit, entry):
                return commit
    raise InputError(
        f"{repo} has no branch {name} with the checkpoint of step {entry.step}",
        mend="take the checkpoints from a directory, or ask the maintainer for"
        " `glasshouse release publish DIR --checkpoints`",
    )


def holds(hub: HubClient, repo: str, commit: str, entry: Checkpoint) -> bool:
    """Whether the Hub lists, at `commit`, the very weights and optimizer state that the chain names."""
    listed = {file.path: file for file in hub.files.list(repo, commit)}
    return all(
        path in listed and _sha256(hub, repo, commit, listed[path]) == wanted
        for path, wanted in ((WEIGHTS, entry.weights.file), (OPTIMIZER, entry.optimizer.file))
    )


def _sha256(hub: HubClient, repo: str, commit: str, file: RemoteFile) -> str:
    if file.sha256 is not None:
        return file.sha256
    return hashlib.sha256(hub.files.read(repo, commit, file.path, max_bytes=MAX_SMALL)).hexdigest()
