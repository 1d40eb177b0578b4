"""Step 1 of a replay: look at a release before any of its code runs.

The records of the chain, then every checkpoint that a folder holds or that a chosen segment begins with. What is amiss
here is a lie that nobody need spend hours on: the audit ends, and none of the release's code is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from registry.attest.audits import Challenge
from registry.audit import chain_checks, checkpoint_checks
from registry.audit.checkpoint_sources import Shelf
from registry.audit.subject import Audited
from registry.errors import Unavailable
from registry.records.checkpoint_chain import Checkpoint
from registry.report import Check, Step, ask


@dataclass(frozen=True, slots=True)
class Looked:
    """A release that was looked at, and what was seen."""

    audited: Audited
    """The release."""
    asked: Challenge
    """The segments to replay."""
    shelf: Shelf
    """Where its checkpoints are."""
    checks: tuple[Check, ...]
    """What was seen of the chain, then of the checkpoints."""


def at(audited: Audited, asked: Challenge, shelf: Shelf) -> Looked:
    """Look at the release. A checkpoint that is not to be had is not looked at."""
    return Looked(audited, asked, shelf, (*_chain(audited), *_checkpoints(audited, asked, shelf)))


def _chain(audited: Audited) -> Iterator[Check]:
    for subject, question in chain_checks.questions(audited.root, audited.chain, audited.project):
        yield ask(Step.CHAIN, subject, question)


def _checkpoints(audited: Audited, asked: Challenge, shelf: Shelf) -> Iterator[Check]:
    moments = chain_checks.second_moments(audited.root, audited.chain, audited.project)
    folders = shelf.at_hand()
    last: tuple[Checkpoint, Path] | None = None
    for number, entry in enumerate(audited.chain.entries):
        try:
            folder = (shelf if number in asked.chosen else folders).find(entry)
        except Unavailable:
            last = None
            continue
        where = f"where segment {number} begins" if number < asked.segments else f"where segment {number - 1} ends"
        is_adamw, sum_ = audited.project.replay.adamw is not None, moments.get(entry.step)
        question = partial(checkpoint_checks.plausible, entry, folder, is_adamw=is_adamw, moments=sum_)
        yield ask(Step.CHAIN, f"checkpoint at step {entry.step}, {where}", question)
        if last is not None and (adamw := audited.project.adamw) is not None:
            _, beta2 = adamw
            question = partial(checkpoint_checks.descend, last[0], entry, (last[1], folder), beta2)
            yield ask(Step.CHAIN, f"second moments from step {last[0].step} to step {entry.step}", question)
        last = entry, folder
