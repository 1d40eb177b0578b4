"""Step 4 of a replay: segments of a chain, trained again, each from its checkpoint to the next, several at once.

What a command must make is not in its reach. It sees the source, which it cannot change, the checkpoints that its
segments begin with, and a new room. So no command trains two segments that follow one another: the second begins with
what the first must make. What it made is moved out of the room, when all its processes are gone, and compared there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from registry.attest.audits import Challenge, ReplayedSegment, ReplayVerdict
from registry.audit import checkpoint_compare, compare, hostile, metrics
from registry.audit.checkpoint_sources import Shelf
from registry.audit.data import Data
from registry.audit.metrics import Progress
from registry.audit.pace import Pace, soonest
from registry.audit.sandbox import BARE, Room
from registry.audit.tail import follow
from registry.audit.workshop import TAKEN, Workshop
from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.records import layout, replay_command
from registry.records.checkpoint_chain import Chain, Checkpoint
from registry.records.replay_command import ReplayTask
from registry.records.training_folder import OPTIMIZER, WEIGHTS, TrainingFolder, step_name
from registry.variables import PROCESSES

MAX_REASON = 1024
SAME: tuple[ReplayVerdict, ...] = ("BITWISE", "TENSORS", "WITHIN")
"""What speaks for a release."""
TIMES, ROOM = 4, 1 << 30
"""A file that was made may be so many times as large as one to begin with, and so many bytes; a larger is not read."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is to be spent, and what is to be forgiven."""

    at_once: int | None = None
    """Segments trained at a time; None: as is soonest."""
    tolerance: float = 0.0
    """How far apart tensors and losses may be, relatively, for WITHIN; 0: not at all."""


SOONEST = Effort()


class Cancelled(Exception):
    """The audit was interrupted; what still runs is to end."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments of one chain, to be trained again on data that were made anew."""

    data: Data
    """The data, and with them the workshop."""
    asked: Challenge
    """Which segments."""
    shelf: Shelf
    """Where checkpoints may be had."""
    effort: Effort = SOONEST
    """How much is to be spent."""
    progress: Progress = lambda steps: None
    """Told training steps."""
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def place(self) -> Workshop:
        """Where they are trained."""
        return self.data.place

    @property
    def chain(self) -> Chain:
        """The signed one."""
        return self.place.audited.chain

    @property
    def _module(self) -> str:
        return self.place.audited.project.replay.module

    @property
    def steps(self) -> Mapping[int, int]:
        """How many steps each segment has, by its number."""
        ends = [entry.step for entry in self.chain.entries]
        return {number: ends[number + 1] - ends[number] for number in self.asked.chosen}

    @property
    def pace(self) -> Pace:
        """How many are trained at a time, on how many processes each: one, where params.yaml does not tell of more."""
        cores = len(os.sched_getaffinity(0))
        try:
            processes = self.place.audited.project.processes
        except Unavailable:
            processes = 1
        if self.effort.at_once:
            return Pace.of(min(self.effort.at_once, len(self.steps)), cores, processes)
        return soonest(self.steps, cores, processes)

    def seed(self) -> tuple[ReplayVerdict, str]:
        """Make the first checkpoint from the seed: whether it is the chain's, and in which words."""
        try:
            room = self.place.sandbox.room("seed")
            out = room.out / "seed"
            self.place.run(replay_command.initial(self._module, out), log="seed", room=room)
            self.place.take(out, "seed", max_bytes=self.place.sandbox.allowance.file)
            found = checkpoint_compare.same(self.chain.entries[0], self._first)
        except VerificationError as problem:  # the source says so itself
            return self._other(problem.message)
        except GlasshouseError as problem:
            return "UNAVAILABLE", problem.message
        return found or self._other("it is not what the seed gives")

    def replay(self) -> list[ReplayedSegment]:
        """Replay what was asked for; where `seed` was called, also from the checkpoint that it made."""
        pace = self.pace
        shares = pace.shares(self.steps)
        with ThreadPoolExecutor(len(shares)) as pool:
            try:
                parts = pool.map(lambda numbers: self._share(numbers, pace.processes), shares)
                made = [segment for part in parts for segment in part]
            except BaseException:
                self._stop.set()
                raise
        return sorted(made, key=lambda segment: segment.number)

    def _share(self, numbers: list[int], processes: int) -> list[ReplayedSegment]:
        """Train these, one after the other, by the same processes; those left when one fails, each alone."""
        # 1. Find where each begins. What cannot be had is not trained.
        ready: dict[int, Path] = {}
        made: list[ReplayedSegment] = []
        for number in numbers:
            try:
                ready[number] = self._find(self.chain.entries[number])
            except Unavailable as problem:
                made.append(self.result(number, 0.0, problem))
        if not ready:
            return made
        # 2. Train them by as few commands as may be, so that processes which load torch are started seldom. No command
        #    is given what another of its segments must make.
        for part in (0, 1):
            if apart := {number: start for number, start in ready.items() if number % 2 == part}:
                made += self._together(apart, processes)
        return made

    def _together(self, ready: Mapping[int, Path], processes: int) -> list[ReplayedSegment]:
        """Train segments by one command.  ready: where each begins."""
        times = dict.fromkeys(ready, 0.0)
        try:
            self._train(ready, times, processes)
        except GlasshouseError as problem:
            # 3. One failed, and took with it those that would have come after: these are trained alone.
            if len(ready) == 1:
                return [self.result(number, times[number], problem) for number in ready]
            made = []
            for number in ready:
                whole = self._is_whole(number, self._made(number))
                made += [self.result(number, times[number])] if whole else self._share([number], processes)
            return made
        return [self.result(number, times[number]) for number in ready]

    def _train(self, ready: Mapping[int, Path], times: dict[int, float], processes: int) -> None:
        """Train segments by one command.  ready: where each begins.  times: becomes the seconds that each took."""
        log = f"segment-{min(ready)}"
        room = self.place.sandbox.room(log)
        tasks = []
        given: dict[Path, Path] = {}
        for number, start in ready.items():
            before, after = self._ends(number)
            place = room.root / step_name(before.step)
            given |= {place / name: start / name for name in (WEIGHTS, OPTIMIZER)}
            tasks.append(ReplayTask(before.step, after.step, place, self._makes(room, number).root))
        command = replay_command.segments(self._module, self._chain_file(room), tasks)
        opened = partial(hostile.opened, below=self.place.scratch)
        steps = [follow(partial(opened, self._makes(room, number).metrics)) for number in ready]
        waiting, began = list(ready), time.monotonic()

        def meanwhile() -> None:
            nonlocal began
            if self._stop.is_set():
                raise Cancelled
            self.progress(sum(len(new()) for new in steps))
            while waiting and self._is_whole(waiting[0], self._makes(room, waiting[0])):
                now = time.monotonic()
                times[waiting.pop(0)], began = now - began, now

        variables = {PROCESSES: str(processes)}
        try:
            self.place.run(command, log=log, room=room, given=given, variables=variables, meanwhile=meanwhile)
            meanwhile()
        finally:
            for number, start in ready.items():
                self._take(room, number, start)

    def _take(self, room: Room, number: int, start: Path) -> None:
        """Move what came of a segment out of the reach of whoever made it; nothing, where nothing came."""
        hostile.remove(self._made(number).root)
        largest = max((start / name).stat().st_size for name in (WEIGHTS, OPTIMIZER))
        with suppress(InputError):  # a segment without a checkpoint says so itself
            self.place.take(self._makes(room, number).root, f"segment-{number}", max_bytes=TIMES * largest + ROOM)

    def result(self, number: int, seconds: float, problem: GlasshouseError | None = None) -> ReplayedSegment:
        """What came of a segment.  problem: what kept it from coming to its end."""
        before, after = self._ends(number)
        verdict: ReplayVerdict
        try:
            if problem is not None:
                raise problem
            verdict, reason = self._proven(*self._compare(after, self._made(number)))
        except VerificationError as found:  # the source says so itself: training diverged, or the recipe is another
            verdict, reason = self._other(found.message)
        except GlasshouseError as found:
            verdict, reason = "UNAVAILABLE", found.message
        folder = self._made(number).checkpoint(after.step)
        return ReplayedSegment(
            number=number,
            after=before.step,
            until=after.step,
            verdict=verdict,
            reason=reason[:MAX_REASON],
            weights=compare.digest(folder / WEIGHTS),
            optimizer=compare.digest(folder / OPTIMIZER),
            seconds=round(seconds, 3),
        )

    def _compare(self, after: Checkpoint, made: TrainingFolder) -> tuple[ReplayVerdict, str]:
        """How what was made compares with the checkpoint `after`; where it departs, as far as can be told."""
        if found := checkpoint_compare.same(after, made):
            return found
        words = [metrics.first_departure(self.place.audited.root / layout.METRICS, made.metrics)]
        tolerance = self.effort.tolerance
        try:
            signed = self._find(after)
        except Unavailable:
            near, further = False, checkpoint_compare.losses_apart(after, made, tolerance)[1]
            further.append(f"the checkpoint at step {after.step} is not at hand to name the tensor")
        else:
            near, further = checkpoint_compare.apart(after, signed, made, tolerance)
        if near:
            return "WITHIN", "; ".join([f"within {tolerance:g}, relative", *words, *further])
        return self._other("; ".join([*words, *further]))

    def _proven(self, verdict: ReplayVerdict, words: str) -> tuple[ReplayVerdict, str]:
        """What a comparison proves: where nothing walls the code in, that the same came out proves nothing."""
        if verdict in SAME and not self.place.sandbox.bubblewrap:
            return "UNSUPPORTED", f"{verdict} ({words}); but {BARE}"
        return verdict, words

    def _other(self, words: str) -> tuple[ReplayVerdict, str]:
        """Something else came out: DIFFERENT, unless this machine cannot tell."""
        if cannot := self.place.cannot:
            return "UNSUPPORTED", f"{words}; but here the same bits are not promised: {'; '.join(cannot)}"
        return "DIFFERENT", words

    def _ends(self, number: int) -> tuple[Checkpoint, Checkpoint]:
        """The checkpoints from which, and to which, a segment leads."""
        before, after = self.chain.entries[number : number + 2]
        return before, after

    @property
    def _first(self) -> TrainingFolder:
        return TrainingFolder(self.place.scratch / TAKEN / "seed")

    def _made(self, number: int) -> TrainingFolder:
        """What a segment has made, where it is compared."""
        return TrainingFolder(self.place.scratch / TAKEN / f"segment-{number}")

    def _makes(self, room: Room, number: int) -> TrainingFolder:
        """What a segment makes, where it is made."""
        return TrainingFolder(room.out / f"segment-{number}")

    def _is_whole(self, number: int, made: TrainingFolder) -> bool:
        """Whether the source says that it has made the checkpoint that this segment leads to."""
        most = 2 * len(self.chain.to_bytes())
        try:
            with hostile.opened(made.chain, self.place.scratch) as stream:
                said = Chain.from_bytes(stream.read(most + 1), name=made.chain.name, max_bytes=most)
            return said.entries[-1].step == self._ends(number)[1].step
        except (GlasshouseError, IndexError, OSError):
            return False

    def _find(self, entry: Checkpoint) -> Path:
        return self.shelf.beside(self._first.checkpoints).find(entry)

    def _chain_file(self, room: Room) -> Path:
        """The signed chain, where the source can read it."""
        path = room.out / "chain.json"
        with hostile.new_file(path, self.place.scratch) as stream:
            stream.write(self.chain.to_bytes())
        return path
