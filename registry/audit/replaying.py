"""Replay: train segments of the chain again, from the signed code, data and profile, and compare what comes out.

    1 look       the records of the chain, and the checkpoints at hand      look.py
    2 workshop   the signed source, its packages, and this machine          workshop.py
    3 data       the tokens, made anew from the source                      data.py
    4 segments   the checkpoint at step 0, then what the challenge chose    segments.py
    5 verdict    all of it in one statement, to be signed                   replay_verdict.py

Each step takes what the one before it gave. No code of the release is run where the first finds a lie. What comes out
is hashed here, not by the source. That the source is honest is not shown: it is what was signed, and it can be read.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from registry.attest.audits import Challenge
from registry.audit import data, look, replay_verdict, workshop
from registry.audit.checkpoint_sources import CheckpointSource, InFolder, Shelf
from registry.audit.look import Looked
from registry.audit.metrics import Progress
from registry.audit.replay_verdict import Findings, Remade, ReplayOutcome
from registry.audit.segments import SOONEST, Effort, Segments
from registry.audit.subject import Audited
from registry.audit.workshop import Options, Workshop

FETCHED = "checkpoints"
"""The folder, in the scratch folder of a replay, of checkpoints that were fetched."""


def replay(
    audited: Audited,
    options: Options,
    asked: Challenge,
    sources: Sequence[CheckpointSource],
    effort: Effort = SOONEST,
    *,
    progress: Progress = lambda steps: None,
    say: Callable[[str], None] = lambda words: None,
) -> ReplayOutcome:
    """Replay the segments that `asked` names.

    sources: where checkpoints may be had.  progress: told training steps.  say: told what is done. Raises what
    `workshop.make` raises, and Unavailable where nothing could be told at all: data that cannot be made, say.
    """
    started = datetime.now(UTC)
    with workshop.scratch(options.keep) as scratch:
        # 1. Look, as long as no code of the release has run. Where this finds a lie, none is run.
        say("looking at the chain and at the checkpoints at hand")
        looked = look.at(audited, asked, Shelf(tuple(sources), scratch / FETCHED))
        found = Findings(looked, f"{platform.machine()}, {platform.system()}")
        if not found.failed:
            # 2. Make the workshop, where its code runs.
            answers = [source.root for source in sources if isinstance(source, InFolder)]
            place = workshop.make(looked.audited, options, scratch, say, answers=answers)
            found = replace(found, machine=place.machine).also(_remade(looked, place, effort, progress, say))
    # 5. All of it is one verdict.
    return replay_verdict.outcome(found, options, effort.tolerance, started)


def _remade(
    looked: Looked, place: Workshop, effort: Effort, progress: Progress, say: Callable[[str], None]
) -> Iterator[Remade]:
    """The steps 3 and 4: what the release's code makes anew, and the base that it is given."""
    if place.base is not None:
        yield Remade("base", "BITWISE", place.base.words)
    if place.here is None:  # a machine that cannot hold the numeric profile can tell nothing
        yield Remade("profile", "UNSUPPORTED", "; ".join(place.cannot))
        return
    # 3. Make the data anew. On other tokens, every segment would differ.
    say("making the data anew, up to the tokens")
    made = data.remake(place)
    yield Remade("tokens <- source", made.verdict, made.reason)
    if made.verdict == "DIFFERENT":
        return
    # 4. Make the first checkpoint from the seed, then train what the challenge chose.
    work = Segments(made, looked.asked, looked.shelf, effort, progress)
    say("making the checkpoint at step 0 from the seed")
    yield Remade("checkpoint at step 0 <- seed", *work.seed())
    say(f"replaying segments {', '.join(map(str, looked.asked.chosen))} of {looked.asked.segments}: {work.pace}")
    yield from map(Remade.of, work.replay())
