"""Step 2 of a rebuild: every stage of the source runs, from nothing to the draft of a release.

A clone of the commit has no outputs and no cache of DVC, and `dvc repro --force --no-run-cache` takes nothing for done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from registry.audit.metrics import Progress
from registry.audit.tail import follow
from registry.audit.workshop import Workshop
from registry.errors import GlasshouseError, Unavailable
from registry.records.training_folder import TrainingFolder

LOG = "rebuild"
STARTED = re.compile(rb"Running stage '(?P<name>[^']*)'")
"""How DVC begins the line that names a stage."""


def run(place: Workshop, stage: Callable[[str], None], progress: Progress) -> Path:
    """Run them all; the folder of the draft that the last one wrote.

    stage: told each stage as it starts.  progress: told training steps. Raises Unavailable where they do not end well.
    """
    said, steps = follow(place.scratch / f"{LOG}.log"), follow(trained(place).metrics)

    def meanwhile() -> None:
        progress(len(steps()))
        for line in said():
            if found := STARTED.match(line):
                stage(found["name"].decode("utf-8", "replace"))

    try:
        place.run(["dvc", "repro", "--force", "--no-run-cache"], log=LOG, meanwhile=meanwhile)
    except GlasshouseError as problem:
        raise Unavailable(
            f"the rebuild does not come to its end: {problem.message}",
            mend="run it again with --keep DIR, and read DIR/rebuild.log",
        ) from problem
    return draft(place)


def draft(place: Workshop) -> Path:
    """Where the source has the draft written."""
    return place.tree / place.audited.project.draft


def trained(place: Workshop) -> TrainingFolder:
    """Where the source has its training kept."""
    return TrainingFolder(place.tree / place.audited.project.trained)
