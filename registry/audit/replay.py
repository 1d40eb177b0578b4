"""Replay: train segments of the chain again, from the signed code, data and profile, and compare what comes out.

    1 chain      the records of the chain, without running anything        chain_checks.py
    2 data       the tokens, made anew from the source                     data.py
    3 seed       the checkpoint at step 0, made from the seed
    4 segments   those that the challenge chose, several at once

What comes out is hashed here, not by the source. That the source is honest is not shown: it is what was signed, and it
can be read.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from registry import strict_yaml, tensors
from registry.attest.audits import Challenge, Replay, ReplayVerdict, Segment
from registry.audit import chain_checks, checkpoints, data
from registry.audit import challenge as challenges
from registry.audit.chain_checks import METRICS
from registry.audit.checkpoints import Source
from registry.audit.subject import Audited, rfc3339
from registry.audit.workshop import PROCESSES, REPLAY, Workshop, processes
from registry.digest import sha256_file
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.hub.checkpoints import OPTIMIZER, WEIGHTS, branch
from registry.records import release as layout
from registry.records.chain import Chain, Checkpoint
from registry.report import Check, Report, Verdict

Progress = Callable[[int], None]
"""Called with the number of training steps just done."""
MAX_REASON = 1024
WORDS: tuple[ReplayVerdict, ...] = get_args(ReplayVerdict)


class Cancelled(Exception):
    """The audit was interrupted; what still runs is to end."""


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


def replay(
    workshop: Workshop,
    asked: Challenge,
    sources: Sequence[Source],
    *,
    at_once: int | None = None,
    progress: Progress = lambda steps: None,
    say: Callable[[str], None] = lambda words: None,
) -> Outcome:
    """Replay the segments that `asked` names.

    sources: where checkpoints may be had.  at_once: segments trained at a time; None: one a core.
    Raises Unavailable where nothing could be told at all: data that cannot be made, say.
    """
    started = datetime.now(UTC)
    audited = workshop.audited
    checks = list(chain_checks.chain(audited.root, audited.chain))
    segments: list[Segment] = []
    if workshop.here is None:
        verdict: ReplayVerdict = "UNSUPPORTED"
        checks.append(_check("profile", verdict, "; ".join(workshop.cannot)))
    else:
        say("making the data anew, up to the tokens")
        checks.append(_data(workshop))
        if checks[-1].verdict is not Verdict.FAIL:  # on other tokens, every segment would differ
            work = Segments(workshop, asked, sources, at_once, progress)
            say("making the checkpoint at step 0 from the seed")
            checks.append(work.seed())
            say(f"replaying segments {', '.join(map(str, asked.chosen))} of {asked.segments}")
            segments, plausible = work.replay()
            checks += plausible
            checks += [_segment_check(segment) for segment in segments]
    verdict = _overall(checks, segments, unsupported=workshop.here is None)
    report = Report(audited.subject.name, tuple(checks))
    statement = Replay(
        verdict=verdict,
        reason=_reason(report, segments),
        source=audited.record.source.commit,
        tokens=audited.chain.tokens,
        challenge=asked,
        replayed=tuple(segments),
        environment=workshop.setup.kind,
        profile=f"{audited.chain.profile.name} sha256:{audited.chain.profile.digest}",
        machine=workshop.machine[:MAX_REASON],
        started_at=rfc3339(started),
        finished_at=rfc3339(datetime.now(UTC)),
    )
    return Outcome(statement, report)


class Segments:
    """Segments of one chain, trained in one workshop."""

    def __init__(
        self,
        workshop: Workshop,
        asked: Challenge,
        sources: Sequence[Source],
        at_once: int | None,
        progress: Progress,
    ) -> None:
        self.workshop, self.asked, self.progress = workshop, asked, progress
        self.chain: Chain = workshop.audited.chain
        self.fetched = workshop.scratch / "checkpoints"
        self.made_first = workshop.scratch / "seed"
        self.sources = (*sources, checkpoints.InFolder(self.made_first / "checkpoints"))
        self.at_once = min(len(asked.chosen), at_once or len(os.sched_getaffinity(0)))
        self.stop = threading.Event()
        match strict_yaml.read(workshop.audited.root / layout.PARAMS):
            case {"train": {"micro_batches": int(leaves)}}:
                self.processes = processes(self.at_once, leaves)
            case _:
                raise InputError("params.yaml says nothing of micro-batches", mend="report the release")

    def seed(self) -> Check:
        """Whether the first checkpoint follows from the seed."""
        entry = self.chain.entries[0]
        command = [*REPLAY, "--initial", "--out", str(self.made_first)]
        self.workshop.run(command, log="seed")
        verdict, reason = compare(entry, self.made_first, self.workshop.cannot)
        return _check("checkpoint at step 0 <- seed", verdict, reason)

    def replay(self) -> tuple[list[Segment], list[Check]]:
        """Replay what was asked for, `at_once` at a time."""
        seen: dict[int, list[Check]] = {}
        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                made = list(pool.map(lambda number: self._segment(number, seen), self.asked.chosen))
            except BaseException:
                self.stop.set()
                raise
        return made, [check for step in sorted(seen) for check in seen[step]]

    def _segment(self, number: int, seen: dict[int, list[Check]]) -> Segment:
        before, after = self.chain.entries[number : number + 2]
        began = time.monotonic()

        def result(verdict: ReplayVerdict, reason: str, made: Path | None = None) -> Segment:
            folder = made / "checkpoints" / branch(after.step) if made else None
            return Segment(
                number=number,
                after=before.step,
                until=after.step,
                verdict=verdict,
                reason=reason[:MAX_REASON],
                weights=sha256_file(folder / WEIGHTS) if folder else None,
                optimizer=sha256_file(folder / OPTIMIZER) if folder else None,
                seconds=round(time.monotonic() - began, 3),
            )

        try:
            start = checkpoints.find(self.sources, before, self.fetched / str(number))
        except Unavailable as problem:
            return result("UNAVAILABLE", problem.message)
        seen[before.step] = list(chain_checks.checkpoint(before, start))
        out = self.workshop.scratch / f"segment-{number}"
        try:
            self._train(before, after, start, out)
            verdict, reason = compare(after, out, self.workshop.cannot)
        except VerificationError as problem:  # the source says so itself: training diverged, or the recipe is another
            return result("UNSUPPORTED" if self.workshop.cannot else "DIFFERENT", problem.message)
        except GlasshouseError as problem:
            return result("UNAVAILABLE", problem.message)
        if verdict == "DIFFERENT":
            reason = f"{reason}; {self._where(number, after, out)}"
        return result(verdict, reason, out)

    def _train(self, before: Checkpoint, after: Checkpoint, start: Path, out: Path) -> None:
        command = [
            *REPLAY, "--chain", str(self._chain_file()), "--after", str(before.step), "--until", str(after.step),
            "--checkpoint", str(self._inside(start, before)), "--out", str(out),
        ]  # fmt: skip
        done = 0

        def meanwhile() -> None:
            nonlocal done
            if self.stop.is_set():
                raise Cancelled
            lines = out / "metrics.jsonl"
            now = lines.read_bytes().count(b"\n") if lines.is_file() else 0
            self.progress(now - done)
            done = now

        self.workshop.run(
            command, log=f"segment-{before.step}", variables={PROCESSES: self.processes}, meanwhile=meanwhile
        )
        self.progress(after.step - before.step - done)

    def _chain_file(self) -> Path:
        """The signed chain, where the source can read it."""
        path = self.workshop.scratch / "chain.json"
        if not path.exists():
            path.write_bytes(self.chain.to_bytes())
        return path

    def _inside(self, start: Path, entry: Checkpoint) -> Path:
        """The checkpoint's files where a sandboxed child can see them."""
        if start.is_relative_to(self.workshop.scratch):
            return start
        inside = self.workshop.scratch / "given" / branch(entry.step)
        inside.mkdir(parents=True, exist_ok=True)
        for name in (WEIGHTS, OPTIMIZER):
            (inside / name).write_bytes((start / name).read_bytes())
        checkpoints.verify(entry, inside)
        return inside

    def _where(self, number: int, after: Checkpoint, out: Path) -> str:
        """The first step, and the first tensor, at which the replay of a segment departs, as far as can be told."""
        words = [first_step(self.workshop.audited.root / METRICS, out / "metrics.jsonl")]
        try:
            signed = checkpoints.find(self.sources, after, self.fetched / f"{number}-signed")
            words.append(first_tensor(signed, out / "checkpoints" / branch(after.step)))
        except GlasshouseError:
            words.append(f"the checkpoint at step {after.step} is not at hand to name the tensor")
        return "; ".join(words)


def compare(entry: Checkpoint, out: Path, cannot: Sequence[str]) -> tuple[ReplayVerdict, str]:
    """How the checkpoint that was made in `out` compares with `entry`; its files are hashed here.

    cannot: why other bits would accuse nobody. Raises Unavailable where nothing was made.
    """
    folder = out / "checkpoints" / branch(entry.step)
    try:
        made = Chain.read(out / "checkpoints.json").entries[-1]
        files = {
            name: (sha256_file(folder / name), tensors.tensors_digest(folder / name)) for name in (WEIGHTS, OPTIMIZER)
        }
    except (GlasshouseError, OSError, IndexError) as problem:
        raise Unavailable(f"the source made no checkpoint: {problem}", mend="--keep DIR leaves the logs") from problem
    wanted = {WEIGHTS: entry.weights, OPTIMIZER: entry.optimizer}
    differ = [name for name, digests in wanted.items() if files[name][1] != digests.tensors]
    said = (made.positions.end, made.loss) == (entry.positions.end, entry.loss)
    if not differ and said:
        same = all(files[name][0] == digests.file for name, digests in wanted.items())
        return (
            ("BITWISE", "weights, optimizer state, rows and loss are the same")
            if same
            else ("TENSORS", "every tensor is the same, in files that are laid out otherwise")
        )
    words = f"{' and '.join(differ)} differ" if differ else f"the chain says loss {entry.loss}, the replay {made.loss}"
    if cannot:
        return "UNSUPPORTED", f"{words}; but here the same bits are not promised: {'; '.join(cannot)}"
    return "DIFFERENT", words


def first_step(signed: Path, made: Path) -> str:
    """The first line of `made` that is not the line of its step in `signed`, in words."""
    try:
        ours = {line["step"]: line for line in chain_checks.metrics(made)}
        for line in chain_checks.metrics(signed):
            mine = ours.get(line["step"])
            if mine and any(mine[key] != line.get(key) for key in ("loss", "gradientNorm")):
                return f"step {line['step']} is the first whose loss or gradient departs"
    except (GlasshouseError, KeyError, TypeError) as problem:
        return f"the metrics do not tell the step ({problem})"
    return "the signed losses of all its steps are those of the replay: what departs came after the last of them"


def first_tensor(signed: Path, made: Path) -> str:
    """The first tensor at which two checkpoints part, in words."""
    for name in (WEIGHTS, OPTIMIZER):
        theirs, ours = tensors.tensor_digests(signed / name), tensors.tensor_digests(made / name)
        for tensor in (*theirs, *(tensor for tensor in ours if tensor not in theirs)):
            if theirs.get(tensor) != ours.get(tensor):
                return f"the first tensor is {tensor} of {name}"
    return "every tensor is the same"


def _data(workshop: Workshop) -> Check:
    data.remake(workshop)
    try:
        data.check(workshop)
    except VerificationError as problem:
        return _check("tokens <- source", "UNSUPPORTED" if workshop.cannot else "DIFFERENT", problem.message)
    return _check(
        "tokens <- source", "BITWISE", "the data manifest, the tokenizer and the tokens, made anew, are the same"
    )


def _segment_check(segment: Segment) -> Check:
    name = f"segment {segment.number}: step {segment.after} to {segment.until}"
    return _check(name, segment.verdict, segment.reason)


def _check(subject: str, verdict: ReplayVerdict, reason: str) -> Check:
    answers = {"BITWISE": Verdict.PASS, "TENSORS": Verdict.PASS, "DIFFERENT": Verdict.FAIL}
    return Check(9, "replay", answers.get(verdict, Verdict.UNKNOWN), subject, f"{verdict}: {reason}")


def _overall(checks: Sequence[Check], segments: Sequence[Segment], *, unsupported: bool) -> ReplayVerdict:
    """DIFFERENT where anything is; else the weakest of the segments'."""
    if any(check.verdict is Verdict.FAIL for check in checks):
        return "DIFFERENT"
    if unsupported or any("UNSUPPORTED" in check.reason[:11] for check in checks):
        return "UNSUPPORTED"
    return max((segment.verdict for segment in segments), key=WORDS.index)


def _reason(report: Report, segments: Sequence[Segment]) -> str:
    failed = [f"{check.subject}: {check.reason}" for check in report.checks if check.verdict is Verdict.FAIL]
    unknown = [f"{check.subject}: {check.reason}" for check in report.checks if check.verdict is Verdict.UNKNOWN]
    same = sum(segment.verdict in ("BITWISE", "TENSORS") for segment in segments)
    words = f"{same} of {len(segments)} chosen segments came out the same"
    return "; ".join([*failed, *unknown, words])[:MAX_REASON]
