"""Segments of a chain, trained again: each from its checkpoint to the next, several at once."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from registry import strict_yaml, tensors
from registry.attest.audits import Challenge, ReplayVerdict, Segment
from registry.audit import chain_checks, checkpoint_sources, compare
from registry.audit.checkpoint_sources import Source
from registry.audit.pace import Pace, soonest
from registry.audit.workshop import PROCESSES, REPLAY, Workshop
from registry.digest import sha256_file
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.records import layout
from registry.records.checkpoint_chain import Chain, Checkpoint
from registry.records.training_folder import OPTIMIZER, WEIGHTS, TrainingFolder, step_name

Progress = Callable[[int], None]
"""Called with the number of training steps just done."""
MAX_REASON = 1024


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
        self.sources = (*sources, checkpoint_sources.InFolder(TrainingFolder(self.made_first).checkpoints))
        entries = self.chain.entries
        self.steps = {number: entries[number + 1].step - entries[number].step for number in asked.chosen}
        self.pace = self._pace(effort.at_once)
        self.stop = threading.Event()
        self.fetching = threading.Lock()

    def seed(self) -> tuple[ReplayVerdict, str]:
        """Whether the first checkpoint follows from the seed, and in which words."""
        command = [*REPLAY, "--initial", str(self.made_first)]
        self.workshop.run(command, log="seed")
        return same(self.chain.entries[0], self.made_first) or self._other("it is not what the seed gives")

    def replay(self) -> list[Segment]:
        """Replay what was asked for."""
        shares = self.pace.shares(self.steps)
        with ThreadPoolExecutor(len(shares)) as pool:
            try:
                made = [segment for share in pool.map(self._share, shares) for segment in share]
            except BaseException:
                self.stop.set()
                raise
        return sorted(made, key=lambda segment: segment.number)

    def _pace(self, at_once: int | None) -> Pace:
        cores = len(os.sched_getaffinity(0))
        match strict_yaml.read(self.workshop.audited.root / layout.PARAMS):
            case {"train": {"micro_batches": int(leaves)}} if leaves > 0:
                if at_once:
                    return Pace.of(min(at_once, len(self.steps)), cores, leaves)
                return soonest(self.steps, cores, leaves)
        raise InputError("params.yaml says nothing of micro-batches", mend="report the release")

    def _share(self, numbers: list[int]) -> list[Segment]:
        """Train these, one after the other, by the same processes; those left when one fails, each alone."""
        ready: dict[int, Path] = {}
        made: list[Segment] = []
        for number in numbers:
            try:
                ready[number] = self._find(self.chain.entries[number])
            except Unavailable as problem:
                made.append(self.result(number, 0.0, problem))
        times = dict.fromkeys(ready, 0.0)
        try:
            if ready:
                self._train(ready, times)
        except GlasshouseError as problem:
            if len(ready) == 1:
                return [*made, *(self.result(number, times[number], problem) for number in ready)]
            for number in ready:
                made += [self.result(number, times[number])] if self._whole(number) else self._share([number])
            return made
        return [*made, *(self.result(number, times[number]) for number in ready)]

    def result(self, number: int, seconds: float, problem: GlasshouseError | None = None) -> Segment:
        """What came of a segment.  problem: what kept it from coming to its end."""
        before, after = self.chain.entries[number : number + 2]
        verdict: ReplayVerdict
        try:
            if problem is not None:
                raise problem
            verdict, reason = self._compare(after, self._out(number))
        except VerificationError as found:  # the source says so itself: training diverged, or the recipe is another
            verdict, reason = self._other(found.message)
        except GlasshouseError as found:
            verdict, reason = "UNAVAILABLE", found.message
        made = TrainingFolder(self._out(number)).checkpoint(after.step)
        return Segment(
            number=number,
            after=before.step,
            until=after.step,
            verdict=verdict,
            reason=reason[:MAX_REASON],
            weights=sha256_file(made / WEIGHTS) if (made / WEIGHTS).is_file() else None,
            optimizer=sha256_file(made / OPTIMIZER) if (made / OPTIMIZER).is_file() else None,
            seconds=round(seconds, 3),
        )

    def _out(self, number: int) -> Path:
        return self.workshop.scratch / f"segment-{number}"

    def _whole(self, number: int) -> bool:
        """Whether the source says that it has made the checkpoint that this segment leads to."""
        try:
            return last(self._out(number)).step == self.chain.entries[number + 1].step
        except Unavailable:
            return False

    def _find(self, entry: Checkpoint) -> Path:
        with self.fetching:
            return checkpoint_sources.find(self.sources, entry, self.workshop.scratch / checkpoint_sources.FETCHED)

    def _train(self, ready: Mapping[int, Path], times: dict[int, float]) -> None:
        """Train segments by one command.  ready: where each begins.  times: becomes the seconds that each took."""
        command = [*REPLAY, "--chain", str(self._chain_file())]
        for number, start in ready.items():
            before, after = self.chain.entries[number : number + 2]
            shutil.rmtree(self._out(number), ignore_errors=True)
            command += ["--segment", str(before.step), str(after.step), str(self._inside(start, before))]
            command += [str(self._out(number))]
        counts = [steps_of(self._out(number), self.progress) for number in ready]
        waiting, began = list(ready), time.monotonic()

        def meanwhile() -> None:
            nonlocal began
            if self.stop.is_set():
                raise Cancelled
            for count in counts:
                count()
            while waiting and self._whole(waiting[0]):
                now = time.monotonic()
                times[waiting.pop(0)], began = now - began, now

        variables = {PROCESSES: str(self.pace.processes)}
        self.workshop.run(command, log=f"segment-{min(ready)}", variables=variables, meanwhile=meanwhile)
        meanwhile()

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
        inside = self.workshop.scratch / "given" / step_name(entry.step)
        inside.mkdir(parents=True, exist_ok=True)
        for name in (WEIGHTS, OPTIMIZER):
            (inside / name).write_bytes((start / name).read_bytes())
        checkpoint_sources.verify(entry, inside)
        return inside

    def _compare(self, after: Checkpoint, out: Path) -> tuple[ReplayVerdict, str]:
        """How what was made in `out` compares with the checkpoint `after`; where it departs, as far as can be told."""
        if found := same(after, out):
            return found
        made = TrainingFolder(out).checkpoint(after.step)
        words = [first_step(self.workshop.audited.root / layout.METRICS, TrainingFolder(out).metrics)]
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
    read = 0

    def count() -> None:
        nonlocal read
        try:
            with TrainingFolder(out).metrics.open("rb") as stream:
                stream.seek(read)
                new = stream.read()
        except OSError:
            return
        read += len(new)
        progress(new.count(b"\n"))

    return count


def last(out: Path) -> Checkpoint:
    """The last checkpoint that the source says it made in `out`. Raises Unavailable where it made none."""
    try:
        return Chain.read(TrainingFolder(out).chain).entries[-1]
    except (GlasshouseError, IndexError) as problem:
        raise Unavailable(f"the source made no checkpoint: {problem}", mend="--keep DIR leaves the logs") from problem


def same(entry: Checkpoint, out: Path) -> tuple[ReplayVerdict, str] | None:
    """BITWISE or TENSORS where the checkpoint made in `out` is that of `entry`, by what is hashed here; else None.

    Raises Unavailable where nothing was made.
    """
    folder = TrainingFolder(out).checkpoint(entry.step)
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
