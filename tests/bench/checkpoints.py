"""What a checkpoint costs against `torch.save` of the same state, and how long the training waits for it.

For a model of 12 million parameters with both moments, in one process, in two, and in two that share it:

    cost     until it is whole: copied, written, flushed, hashed, chained; beside `torch.save`, flushed, of what each
             process has. In turn; the median of the ratios, of the clock and of the processors' work
    stall    the longest step of those at which a checkpoint was begun, and of those after, while it was written, less
             the median step without one; in steps
    lost     how much later the training is after those steps, and after what is then left of the checkpoint; beside
             `torch.save`, for which it waits. Cores that have nothing else to do cost it nothing
"""

from __future__ import annotations

import os
import statistics
import tempfile
from itertools import chain
from pathlib import Path

from tests.bench.training import WARM_UP, Trainer

ROUNDS = int(os.environ.get("GLASSHOUSE_BENCH_ROUNDS", 9))
STEPS = 3
"""A round has so many steps without a checkpoint, and as many with one."""
ALLOWED, STALL = 1.2, 1.0
"""Times `torch.save`, and steps, that are aimed at."""


def main() -> None:
    """Print both for each training."""
    for trainer in (
        Trainer("portable, 1 process", "portable"),
        Trainer("portable, 2 processes", "portable", 2),
        Trainer("portable, FSDP2 by the tree", "portable-fsdp", 2),
    ):
        with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as root:
            try:
                trainer.start("larger", Path(root) / "meeting")
                trainer.steps(WARM_UP)
                print(f"{trainer.label}: {trainer.words}; {ROUNDS} rounds")
                stalls(trainer, costs(trainer))
            finally:
                trainer.stop()


def costs(trainer: Trainer) -> float:
    """Print what a checkpoint takes, and `torch.save`, whose seconds are returned."""
    took: dict[str, list[tuple[float, float]]] = {"save": [], "keep": []}
    for number in range(ROUNDS + 1):  # the first one is not counted
        for line, found in took.items():
            found += [trainer.did(line)][number == 0 :]
            trainer.did("clean")
    for line, label in (("save", "torch.save, flushed"), ("keep", "checkpoint")):
        wall, worked = (statistics.median(column) for column in zip(*took[line], strict=True))
        print(f"  {label:30} {wall:6.2f} s, processors {worked:6.2f} s")
    wall, worked = (
        statistics.median(ours[which] / theirs[which] for ours, theirs in zip(took["keep"], took["save"], strict=True))
        for which in (0, 1)
    )
    print(f"  checkpoint / torch.save {wall:.2f}  {_judged(wall, ALLOWED)}; of the processors' work {worked:.2f}")
    return statistics.median(wall for wall, _ in took["save"])


def stalls(trainer: Trainer, save: float) -> None:
    """Print how much longer steps take at and after the beginning of a checkpoint. save: seconds of `torch.save`."""
    without: list[list[float]] = []
    beside: list[list[float]] = []
    waited: list[float] = []
    for _ in range(ROUNDS):
        without.append([trainer.steps(1) for _ in range(STEPS)])
        beside.append([trainer.did(line)[0] for line in ("begin", *["1"] * (STEPS - 1))])
        waited.append(trainer.did("wait")[0])
        trainer.did("clean")
    step, most = statistics.median(chain(*without)), max(chain(*beside))
    print(f"  a step {step:.2f} s, at most {max(chain(*without)):.2f} s without a checkpoint; with one {most:.2f} s")
    print(f"  stall in steps {(most - step) / step:.2f}  {_judged((most - step) / step, STALL)}")
    lost = statistics.median(
        sum(ours) + rest - sum(theirs) for ours, rest, theirs in zip(beside, waited, without, strict=True)
    )
    print(f"  lost {lost:.2f} s / {save:.2f} s {lost / save:.2f}  {_judged(lost / save, ALLOWED)}")


def _judged(found: float, aim: float) -> str:
    return f"{aim:.2f} {'holds' if found <= aim else 'missed'}"


if __name__ == "__main__":
    main()
