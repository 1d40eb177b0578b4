"""What a replay costs against the training that it checks: k of n segments in 1.1 k / n of its time, beside set-up.

A model of some size is trained by the stage's own command, on all cores, and timed. Then k of its longest segments are
replayed. Set-up is what has to be done once however many segments there are: the clone, the tokens, the first
checkpoint, and the start of one command, whose processes load torch. (The time of the training has such a start, too.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import pairwise

from registry.audit import data
from registry.audit.data import Data
from tests.audited import QUIET, Bench, segments
from tests.conftest import new_project
from tests.pipelines.small_project import LLAMA, TRAIN

STEPS, EVERY = 256, 32
LARGER = LLAMA | {"hidden_size": 128, "intermediate_size": 344, "num_attention_heads": 4, "num_key_value_heads": 2}
BOUND = 1.1


def main() -> None:
    """Print the training's time, what is set up, and a row for each k."""
    with Bench.start() as bench:
        project = new_project(
            bench.folder / "larger" / "project",
            documents=200,
            model={"architecture": "llama", "context": 128, "config": LARGER},
            train=TRAIN | {"steps": STEPS, "checkpoint_every": EVERY, "validate_every": 10 * STEPS},
        )
        project.run("dvc", "repro", "encode", variables=QUIET)
        training = timed(lambda: project.run("python", "-m", "pipelines.train", variables=QUIET))
        bench.build(project)
        audited = bench.admit(bench.sign(project))
        opening = timed(lambda: bench.open(project, audited, "timed"))
        place = bench.open(project, audited, "audit")
        made: list[Data] = []
        tokens = timed(lambda: made.append(data.remake(place)))
        ends = [entry.step for entry in audited.chain.entries]
        longest = [number for number, (one, other) in enumerate(pairwise(ends)) if other - one == EVERY]
        start = timed(segments(made[0], project, "seed", (0,)).seed)
        print(f"training: {training:.1f} s for {STEPS} steps on {os.cpu_count()} cores")
        print(f"set-up: source {opening:.1f} s, tokens {tokens:.1f} s, first checkpoint and start {start:.1f} s each")
        for k in (1, 2, 3, 4, len(longest)):
            work = segments(made[0], project, f"k-{k}", tuple(longest[:k]))
            taken = timed(work.replay)
            share = k * EVERY / STEPS
            ratio = (taken - start) / (share * training)
            said = f"k = {k}, {share:4.0%} of the steps: {taken:6.1f} s, without a start {ratio:4.2f} x their share"
            print(f"{said}  ({work.pace}){'' if ratio <= BOUND else f'  more than {BOUND}'}", flush=True)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
