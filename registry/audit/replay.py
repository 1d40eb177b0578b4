"""Replay: train segments of the chain again, from the signed code, data and profile, and compare what comes out.

    1 chain      the records of the chain, and the checkpoints at hand      chain_checks.py
    2 data       the tokens, made anew from the source                      data.py
    3 seed       the checkpoint at step 0, made from the seed
    4 segments   those that the challenge chose, several at once            segments.py

No code of the release is run where the first finds a lie. What comes out is hashed here, not by the source. That the
source is honest is not shown: it is what was signed, and it can be read.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from registry.attest.audits import Challenge, Replay, ReplayVerdict, Segment
from registry.audit import chain_checks, checkpoint_sources, data, workshop
from registry.audit import challenge as challenges
from registry.audit.checkpoint_sources import InFolder, Source
from registry.audit.compare import answer
from registry.audit.segments import MAX_REASON, SOONEST, Effort, Progress, Segments
from registry.audit.subject import Audited, rfc3339
from registry.audit.workshop import Options, Workshop
from registry.errors import InputError, Unavailable, VerificationError
from registry.report import Check, Report, Step, Verdict

WORDS: tuple[ReplayVerdict, ...] = get_args(ReplayVerdict)


def challenge(audited: Audited, *, count: int | None, segment: int | None, nonce: str | None) -> Challenge:
    """Which segments to replay: `segment`, or `count` that `nonce` (None: a new one) decides.

    Raises InputError where the chain has no such segment, or not so many.
    """
    total, head = len(audited.chain.entries) - 1, audited.chain.head
    if segment is not None:
        if not 0 <= segment < total:
            raise InputError(f"there is no segment {segment} of {total}", mend=f"--segment 0 to {total - 1}")
        return Challenge(logged_at=audited.logged_at, head=head, segments=total, chosen=(segment,))
    nonce = challenges.check_nonce(nonce) if nonce else challenges.new_nonce()
    chosen = challenges.choose(challenges.seed(nonce, audited.logged_at, head), total, count or 1)
    return Challenge(nonce=nonce, logged_at=audited.logged_at, head=head, segments=total, chosen=chosen)


def odds(asked: Challenge, replayed: int) -> dict[int, float]:
    """How many forged segments -> the probability that at least one is among `replayed` ones chosen at random."""
    return {m: challenges.caught(asked.segments, m, replayed) for m in (1, 2, 5) if m <= asked.segments}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an audit found.  statement: to be signed.  report: the same and the cheap checks, for a reader."""

    statement: Replay
    report: Report


@dataclass
class Findings:
    """What an audit has found so far.  machine: where it runs.  said: the verdict of each thing that was made anew."""

    checks: list[Check]
    machine: str
    segments: tuple[Segment, ...] = ()
    said: tuple[ReplayVerdict, ...] = ()

    def made(self, subject: str, verdict: ReplayVerdict, reason: str) -> None:
        """Something was made anew, and compared."""
        self.said = (*self.said, verdict)
        self.checks.append(Check(Step.REPLAY, answer(verdict), subject, f"{verdict}: {reason}"))

    @property
    def failed(self) -> bool:
        """Whether anything is not as signed."""
        return any(check.verdict is Verdict.FAIL for check in self.checks)

    @property
    def verdict(self) -> ReplayVerdict:
        """DIFFERENT where anything is; UNSUPPORTED where anything could not be told here; else the weakest of all."""
        if self.failed:
            return "DIFFERENT"
        return "UNSUPPORTED" if "UNSUPPORTED" in self.said else max(self.said, key=WORDS.index)

    @property
    def reason(self) -> str:
        """In words, what failed first."""
        words = [
            f"{check.subject}: {check.reason}"
            for answer in (Verdict.FAIL, Verdict.UNKNOWN)
            for check in self.checks
            if check.verdict is answer
        ]
        same = sum(segment.verdict in ("BITWISE", "TENSORS") for segment in self.segments)
        return "; ".join([*words, f"{same} of {len(self.segments)} replayed segments came out the same"])[:MAX_REASON]


def replay(
    audited: Audited,
    options: Options,
    asked: Challenge,
    sources: Sequence[Source],
    effort: Effort = SOONEST,
    *,
    progress: Progress = lambda steps: None,
    say: Callable[[str], None] = lambda words: None,
) -> Outcome:
    """Replay the segments that `asked` names.

    sources: where checkpoints may be had. Raises what `workshop.make` raises, and Unavailable where nothing could be
    told at all: data that cannot be made, say.
    """
    started = datetime.now(UTC)
    with workshop.scratch(options.keep) as scratch:
        say("looking at the chain and at the checkpoints at hand")
        found = Findings(list(look(audited, asked, sources, scratch)), f"{platform.machine()}, {platform.system()}")
        if not found.failed:
            place = workshop.make(audited, options, scratch, say)
            found.machine = place.machine
            _replay(place, Segments(place, asked, sources, effort, progress), found, say)
    statement = Replay(
        verdict=found.verdict,
        reason=found.reason,
        source=audited.record.source.commit,
        tokens=audited.chain.tokens,
        challenge=asked,
        replayed=found.segments,
        environment=options.setup.kind,
        tolerance=effort.tolerance or None,
        profile=f"{audited.chain.profile.name} sha256:{audited.chain.profile.digest}",
        machine=found.machine[:MAX_REASON],
        started_at=rfc3339(started),
        finished_at=rfc3339(datetime.now(UTC)),
    )
    return Outcome(statement, Report(audited.subject.name, tuple(found.checks)))


def look(audited: Audited, asked: Challenge, sources: Sequence[Source], scratch: Path) -> Iterator[Check]:
    """What needs no training: the records, then every checkpoint that a folder holds or that `asked` begins with.

    Those that have to be fetched are left below `scratch`. One that is not to be had is not looked at.
    """
    yield from chain_checks.chain(audited.root, audited.chain)
    moments = chain_checks.second_moments(audited.root, audited.chain)
    folders = [source for source in sources if isinstance(source, InFolder)]
    for number, entry in enumerate(audited.chain.entries):
        try:
            places = sources if number in asked.chosen else folders
            folder = checkpoint_sources.find(places, entry, scratch / checkpoint_sources.FETCHED)
        except Unavailable:
            continue
        where = f"where segment {number} begins" if number < asked.segments else f"where segment {number - 1} ends"
        for check in chain_checks.checkpoint(entry, folder, moments):
            yield replace(check, subject=f"{check.subject}, {where}")


def _replay(place: Workshop, work: Segments, found: Findings, say: Callable[[str], None]) -> None:
    """Everything that runs code of the release."""
    if place.here is None:
        found.made("profile", "UNSUPPORTED", "; ".join(place.cannot))
        return
    say("making the data anew, up to the tokens")
    found.made("tokens <- source", *_data(place))
    if found.failed:  # on other tokens, every segment would differ
        return
    say("making the checkpoint at step 0 from the seed")
    found.made("checkpoint at step 0 <- seed", *work.seed())
    say(f"replaying segments {', '.join(map(str, work.asked.chosen))} of {work.asked.segments}: {work.pace}")
    found.segments = tuple(work.replay())
    for one in found.segments:
        found.made(f"segment {one.number}: step {one.after} to {one.until}", one.verdict, one.reason)


def _data(place: Workshop) -> tuple[ReplayVerdict, str]:
    data.remake(place)
    try:
        data.check(place)
    except VerificationError as problem:
        return "UNSUPPORTED" if place.cannot else "DIFFERENT", problem.message
    return "BITWISE", "the data manifest, the tokenizer and the tokens, made anew, are the same"
