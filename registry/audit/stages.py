"""Step 2 of a rebuild: what the release declares runs, from nothing to every file that its stages wrote.

A clone of the commit has no cache of DVC; outputs that git has were removed; `dvc repro --force --no-run-cache`, which
is run where nothing else is declared, takes nothing for done. What they made is moved out of their reach before
anything in it is compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from registry.audit import hostile, outputs
from registry.audit.metrics import Progress
from registry.audit.tail import follow
from registry.audit.workshop import Workshop
from registry.errors import GlasshouseError, Unavailable
from registry.manifest import walk
from registry.records.rebuild import REPRO
from registry.records.training_folder import TrainingFolder

LOG = "rebuild"
TIMES, ROOM = 4, 1 << 30
"""A file that was made may be so many times as large as all of the release, and so many bytes; a larger is not read."""
STARTED = re.compile(rb"Running stage '(?P<name>[^']*)'")
"""How DVC begins the line that names a stage."""


def run(place: Workshop, stage: Callable[[str], None], progress: Progress) -> Workshop:
    """Run them all; the workshop with what they made, out of their reach.

    stage: told each stage as it starts.  progress: told training steps. Raises Unavailable where they do not end well,
    or where they are not said to make the weights.
    """
    room = place.sandbox.room(LOG)
    log, trains = place.sandbox.log(LOG), trained(place).metrics
    said, steps = follow(lambda: hostile.opened(log, place.scratch)), follow(lambda: hostile.opened(trains, place.tree))

    def meanwhile() -> None:
        progress(len(steps()))
        for line in said():
            if found := STARTED.match(line):
                stage(found["name"].decode("utf-8", "replace"))

    rebuild = place.audited.record.rebuild
    if rebuild and (lost := [one.path for one in place.audited.record.weights if one.path not in made(place)]):
        raise Unavailable(
            f"the release does not say how {', '.join(lost[:3])} is made, so a rebuild tells nothing of its weights",
            mend="ask its maintainer to declare every file of weights: glasshouse release prepare does",
        )
    try:
        place.run(command(place), log=LOG, room=room, changes=True, meanwhile=meanwhile)
        released = sum(size for _, size in walk(place.audited.root))
        built = place.end(max_bytes=TIMES * released + ROOM)
        if rebuild is None:
            walk(draft(built))  # there is one, of names that a release can have
        return built
    except GlasshouseError as problem:
        raise Unavailable(
            f"the rebuild does not come to its end: {problem.message}",
            mend=f"run it again with --keep DIR, and read DIR/{log.relative_to(place.scratch)}",
        ) from problem


def command(place: Workshop) -> tuple[str, ...]:
    """What rebuilds the release."""
    rebuild = place.audited.record.rebuild
    return rebuild.command if rebuild else REPRO


def made(place: Workshop) -> dict[str, Path]:
    """Where each file of the release came out, by its path in the release. A release from before has a draft."""
    if (rebuild := place.audited.record.rebuild) is None:
        return outputs.of_draft(place.audited.root, draft(place))
    return {output.path: place.tree / output.source for output in rebuild.outputs}


def draft(place: Workshop) -> Path:
    """Where the source has the draft written."""
    return place.tree / place.audited.project.draft


def trained(place: Workshop) -> TrainingFolder:
    """Where the source has its training kept."""
    return TrainingFolder(place.tree / place.audited.project.trained)
