"""The stages of dvc.lock: what each read and wrote, and where it worked."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from registry import suffixes
from registry.project import dvc_lock, templates
from registry.project.dvc_yaml import Pipeline
from registry.project.makers import Makers
from registry.records.run import Run

MAX_FOLDERS = 8
"""More directories than this, in which a stage can have worked, are not gone through."""


def writing(lock: dvc_lock.Lock) -> list[dvc_lock.LockedStage]:
    """The stages of a lock that write something, by name."""
    return [stage for _, stage in sorted(lock.stages.items()) if written(stage)]


def makers(stages: Iterable[dvc_lock.LockedStage]) -> Makers:
    """Which of the stages of a lock, its paths from the project's root, wrote what."""
    return Makers({path: stage.name for stage in stages for path in written(stage)})


def read(stage: dvc_lock.LockedStage) -> tuple[str, ...]:
    """The dependencies of a stage, of the project."""
    return tuple(artifact.path for artifact in stage.deps)


def written(stage: dvc_lock.LockedStage) -> tuple[str, ...]:
    """Its outputs, but for the record of its run."""
    return tuple(artifact.path for artifact in stage.outs if not artifact.path.endswith(suffixes.RUN))


def folder(plan: Pipeline, stage: dvc_lock.LockedStage, run: Run) -> str | None:
    """The directory that a stage of a lock, whose paths start from it, worked in by the record of its run.

    None where that does not tell. The directory fits what dvc.yaml says, and all outputs are found from there.
    """
    paths = [posixpath.normpath(artifact.path) for artifact in stage.outs]
    outs = [path for path in paths if not path.endswith(suffixes.RUN)]
    inside = [path for path in outs if path != "." and path.partition("/")[0] != ".."]
    wrote = {item.path for item in run.outs}
    found = {path.removesuffix(f"/{inside[0]}") for path in wrote if path.endswith(f"/{inside[0]}")} if inside else ()
    if len(found) > MAX_FOLDERS:
        return None
    for where in sorted(found):
        places = {posixpath.normpath(posixpath.join(where, path)) for path in outs}
        if places == wrote and templates.fits(plan.folder(stage.name), where):
            return where
    return None
