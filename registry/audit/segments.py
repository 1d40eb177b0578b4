"""Segments of a chain, trained again: each from its checkpoint to the next, several at once."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from registry import strict_yaml, tensors
from registry.attest.audits import Challenge, ReplayVerdict, Segment
from registry.audit import chain_checks, checkpoints, compare
from registry.audit.chain_checks import METRICS
from registry.audit.checkpoints import Source
from registry.audit.workshop import PROCESSES, REPLAY, Workshop
from registry.digest import sha256_file
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.hub.checkpoints import OPTIMIZER, WEIGHTS, branch
from registry.records import release as layout
from registry.records.chain import Chain, Checkpoint

Progress = Callable[[int], None]
"""Called with the number of training steps just done."""
MAX_REASON = 1024
SCALING = 0.9
"""A training on p processes is taken to be p ** SCALING times as fast as on one."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is to be spent, and what is to be forgiven.

    at_once: segments trained at a time; None: as is soonest.  tolerance: how far apart tensors and losses may be,
    relatively, for WITHIN.
    """

    at_once: int | None = None
    tolerance: float = 0.0


SOONEST = Effort()


class Cancelled(Exception):
    """The audit was interrupted; what still runs is to end."""


@dataclass(frozen=True, slots=True)
class Pace:
    """at_once: how many segments are trained at a time.  processes: of each, a power of two."""

    at_once: int
    processes: int

    def __str__(self) -> str:
        return f"{self.at_once} at once, processes each: {self.processes}"

    @classmethod
    def of(cls, at_once: int, cores: int, leaves: int) -> Pace:
        """With as many processes each as there are cores for, and work: `leaves` micro-batches a step."""
        return cls(at_once, 1 << min(max(1, cores // at_once), leaves).bit_length() - 1)

    def needs(self, steps: Sequence[int]) -> float:
        """When segments of so many steps are all done, the longest begun first; in steps of one process."""
        free = [0.0] * self.at_once
        for length in sorted(steps, reverse=True):
            heapq.heappush(free, heapq.heappop(free) + length / self.processes**SCALING)
        return max(free)


def pace(steps: Sequence[int], cores: int, leaves: int) -> Pace:
    """The pace at which segments of so many steps are done soonest on `cores` cores."""
    paces = [Pace.of(1 << power, cores, leaves) for power in range(min(len(steps), cores).bit_length())]
    return min(paces, key=lambda pace: pace.needs(steps))


class Segments:
    """Segments of one chain, to be trained in one workshop.

    asked: which.  sources: where checkpoints may be had.
    """

    def __init__(
        self,
        workshop: Workshop,
        asked: Challenge,
        sources: Sequence[Source],
        effort: Effort = SOONEST,
        progress: Progress = lambda steps: None,
    ) -> None:
        self.workshop, self.asked, self.tolerance, self.progress = workshop, asked, effort.tolerance, progress
        self.chain: Chain = workshop.audited.chain
        self.made_first = workshop.scratch / "seed"
        self.sources = (*sources, checkpoints.InFolder(self.made_first / "checkpoints"))
        self.pace = self._pace(effort.at_once)
        self.stop = threading.Event()
        self.fetching = threading.Lock()

    def seed(self) -> tuple[ReplayVerdict, str]:
        """Whether the first checkpoint follows from the seed, and in which words."""
        command = [*REPLAY, "--initial", "--out", str(self.made_first)]
        self.workshop.run(command, log="seed")
        return same(self.chain.entries[0], self.made_first) or self._other("it is not what the seed gives")

    def replay(self) -> list[Segment]:
        """Replay what was asked for."""
        longest_first = sorted(self.asked.chosen, key=lambda number: -self._steps(number))
        with ThreadPoolExecutor(self.pace.at_once) as pool:
            try:
                made = list(pool.map(self._segment, longest_first))
            except BaseException:
                self.stop.set()
                raise
        return sorted(made, key=lambda segment: segment.number)

    def _pace(self, at_once: int | None) -> Pace:
        cores = len(os.sched_getaffinity(0))
        match strict_yaml.read(self.workshop.audited.root / layout.PARAMS):
            case {"train": {"micro_batches": int(leaves)}} if leaves > 0:
                steps = [self._steps(number) for number in self.asked.chosen]
                return Pace.of(min(at_once, len(steps)), cores, leaves) if at_once else pace(steps, cores, leaves)
        raise InputError("params.yaml says nothing of micro-batches", mend="report the release")

    def _steps(self, number: int) -> int:
        before, after = self.chain.entries[number : number + 2]
        return after.step - before.step

    def _segment(self, number: int) -> Segment:
        before, after = self.chain.entries[number : number + 2]
        began = time.monotonic()
        out = self.workshop.scratch / f"segment-{number}"
        try:
            self._train(before, after, self._find(before), out)
            verdict, reason = self._compare(after, out)
        except VerificationError as problem:  # the source says so itself: training diverged, or the recipe is another
            verdict, reason = self._other(problem.message)
        except GlasshouseError as problem:
            verdict, reason = "UNAVAILABLE", problem.message
        made = out / "checkpoints" / branch(after.step)
        return Segment(
            number=number,
            after=before.step,
            until=after.step,
            verdict=verdict,
            reason=reason[:MAX_REASON],
            weights=sha256_file(made / WEIGHTS) if (made / WEIGHTS).is_file() else None,
            optimizer=sha256_file(made / OPTIMIZER) if (made / OPTIMIZER).is_file() else None,
            seconds=round(time.monotonic() - began, 3),
        )

    def _find(self, entry: Checkpoint) -> Path:
        with self.fetching:
            return checkpoints.find(self.sources, entry, self.workshop.scratch / checkpoints.FETCHED)

    def _train(self, before: Checkpoint, after: Checkpoint, start: Path, out: Path) -> None:
        command = [
            *REPLAY, "--chain", str(self._chain_file()), "--after", str(before.step), "--until", str(after.step),
            "--checkpoint", str(self._inside(start, before)), "--out", str(out),
        ]  # fmt: skip
        count = steps_of(out, self.progress)

        def meanwhile() -> None:
            if self.stop.is_set():
                raise Cancelled
            count()

        variables = {PROCESSES: str(self.pace.processes)}
        self.workshop.run(command, log=f"segment-{before.step}", variables=variables, meanwhile=meanwhile)
        count()

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

    def _compare(self, after: Checkpoint, out: Path) -> tuple[ReplayVerdict, str]:
        """How what was made in `out` compares with the checkpoint `after`; where it departs, as far as can be told."""
        if found := same(after, out):
            return found
        made = out / "checkpoints" / branch(after.step)
        words = [first_step(self.workshop.audited.root / METRICS, out / "metrics.jsonl")]
        theirs, ours = {"loss": after.loss}, {"loss": last(out).loss}
        if theirs != ours:
            words.append(f"the chain says loss {theirs['loss']}, the replay {ours['loss']}")
        near = compare.apart(theirs, ours) <= self.tolerance
        try:
            signed = self._find(after)
        except Unavailable:
            words.append(f"the checkpoint at step {after.step} is not at hand to name the tensor")
            near = False
        else:
            for name in (WEIGHTS, OPTIMIZER):
                verdict, reason = compare.weights(signed / name, made / name, self.tolerance)
                near = near and verdict != "DIFFERENT"
                words += [f"{name}: {reason}"] if verdict != "TENSORS" else []
        if near:
            return "WITHIN", "; ".join([f"within {self.tolerance:g}, relative", *words])
        return self._other("; ".join(words))

    def _other(self, words: str) -> tuple[ReplayVerdict, str]:
        """Something else came out: DIFFERENT, unless this machine cannot tell."""
        if cannot := self.workshop.cannot:
            return "UNSUPPORTED", f"{words}; but here the same bits are not promised: {'; '.join(cannot)}"
        return "DIFFERENT", words


def steps_of(out: Path, progress: Progress) -> Callable[[], None]:
    """A function that tells `progress` of the steps that a training in `out` has done since the last call."""
    done = 0

    def count() -> None:
        nonlocal done
        try:
            now = (out / "metrics.jsonl").read_bytes().count(b"\n")
        except OSError:
            return
        progress(now - done)
        done = now

    return count


def last(out: Path) -> Checkpoint:
    """The last checkpoint that the source says it made in `out`. Raises Unavailable where it made none."""
    try:
        return Chain.read(out / "checkpoints.json").entries[-1]
    except (GlasshouseError, IndexError) as problem:
        raise Unavailable(f"the source made no checkpoint: {problem}", mend="--keep DIR leaves the logs") from problem


def same(entry: Checkpoint, out: Path) -> tuple[ReplayVerdict, str] | None:
    """BITWISE or TENSORS where the checkpoint made in `out` is that of `entry`, by what is hashed here; else None.

    Raises Unavailable where nothing was made.
    """
    folder = out / "checkpoints" / branch(entry.step)
    made = last(out)
    try:
        files = {
            name: (sha256_file(folder / name), tensors.tensors_digest(folder / name)) for name in (WEIGHTS, OPTIMIZER)
        }
    except (GlasshouseError, OSError) as problem:
        raise Unavailable(f"the source made no checkpoint: {problem}", mend="--keep DIR leaves the logs") from problem
    wanted = {WEIGHTS: entry.weights, OPTIMIZER: entry.optimizer}
    if any(files[name][1] != digests.tensors for name, digests in wanted.items()):
        return None
    if (made.positions.end, made.loss) != (entry.positions.end, entry.loss):
        return None
    if all(files[name][0] == digests.file for name, digests in wanted.items()):
        return "BITWISE", "weights, optimizer state, rows and loss are the same"
    return "TENSORS", "every tensor is the same, in files that are laid out otherwise"


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
