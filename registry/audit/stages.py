"""Step 2 of a rebuild: every stage of the source runs, from nothing to the draft of a release.

A clone of the commit has no outputs and no cache of DVC, and `dvc repro --force --no-run-cache` takes nothing for done.
What they made is moved out of their reach before anything in it is compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from registry.audit import hostile
from registry.audit.metrics import Progress
from registry.audit.tail import follow
from registry.audit.workshop import Workshop
from registry.errors import GlasshouseError, Unavailable
from registry.manifest import walk
from registry.records.training_folder import TrainingFolder

LOG = "rebuild"
TIMES, ROOM = 4, 1 << 30
"""A file that was made may be so many times as large as all of the release, and so many bytes; a larger is not read."""
STARTED = re.compile(rb"Running stage '(?P<name>[^']*)'")
"""How DVC begins the line that names a stage."""


def run(place: Workshop, stage: Callable[[str], None], progress: Progress) -> Workshop:
    """Run them all; the workshop with what they made, out of their reach.

    stage: told each stage as it starts.  progress: told training steps. Raises Unavailable where they do not end well.
    """
    room = place.sandbox.room(LOG)
    log, trains = place.sandbox.log(LOG), trained(place).metrics
    said, steps = follow(lambda: hostile.opened(log, place.scratch)), follow(lambda: hostile.opened(trains, place.tree))

    def meanwhile() -> None:
        progress(len(steps()))
        for line in said():
            if found := STARTED.match(line):
                stage(found["name"].decode("utf-8", "replace"))

    command = ["dvc", "repro", "--force", "--no-run-cache"]
    try:
        place.run(command, log=LOG, room=room, changes=True, meanwhile=meanwhile)
        released = sum(size for _, size in walk(place.audited.root))
        built = place.end(max_bytes=TIMES * released + ROOM)
        walk(draft(built))  # there is one, of names that a release can have
        return built
    except GlasshouseError as problem:
        raise Unavailable(
            f"the rebuild does not come to its end: {problem.message}",
            mend=f"run it again with --keep DIR, and read DIR/{log.relative_to(place.scratch)}",
        ) from problem


def draft(place: Workshop) -> Path:
    """Where the source has the draft written."""
    return place.tree / place.audited.project.draft


def trained(place: Workshop) -> TrainingFolder:
    """Where the source has its training kept."""
    return TrainingFolder(place.tree / place.audited.project.trained)
