"""What a project declares of its replay must hold of the project as it stands: told before anything is signed.

A declaration that is amiss would have an auditor accuse an honest maintainer, or find nothing to replay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from registry.digest import sha256_file
from registry.errors import Refused, Unavailable
from registry.records.order import MAX_ROWS
from registry.records.project import PARAMS, Project, several


def check(root: Path, stages: Collection[str]) -> None:
    """Hold the contract of the project at `root`, whose draft is made, to its files.

    stages: the names of those in dvc.lock. Does nothing where no contract is declared: not every release can be
    replayed. Raises Refused that names everything that is amiss, and InputError for params.yaml that cannot be read.
    """
    if not (root / PARAMS).is_file():
        return
    project = Project.read(root / PARAMS)
    declared = "replay" in several(project.settings.get("release", {})).get("", {})
    if declared and (amiss := list(_amiss(root, project, stages))):
        raise Refused(
            f"release.replay in params.yaml: {'; '.join(amiss)}",
            mend="mend it, or leave the section out where nobody is to replay the training: docs/reference/replay.md",
        )


def _amiss(root: Path, project: Project, stages: Collection[str]) -> Iterator[str]:
    contract = project.replay
    if not contract.is_in(root):
        yield f"there is no module {contract.module}"
    if contract.data not in stages:
        yield f"dvc.lock has no stage {contract.data}"
    for there, here in contract.made.items():
        draft, made = root / project.draft / there, root / here
        if not draft.is_file() or not made.is_file():
            yield f"made: {there if not draft.is_file() else here} is not there"
        elif sha256_file(draft) != sha256_file(made):
            yield f"made: {here} is not the {there} of the release"
    for name in ("steps", "rows", "processes"):
        try:
            getattr(project, name)
        except Unavailable as problem:
            yield problem.message
    if contract.order is not None:
        try:
            project.sampling(MAX_ROWS)
        except Unavailable as problem:
            yield f"order: {problem.message}"
    if contract.adamw is not None and project.adamw is None:
        yield "adamw: params.yaml has no clip_norm above 0, or no beta2 between 0 and 1, where it says"
