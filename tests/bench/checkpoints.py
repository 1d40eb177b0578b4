"""What a checkpoint costs: written, flushed, hashed and chained, against `torch.save` of the same state, flushed.

In turn, in one process, for a model of 12 million parameters with both moments; the median of ratios pair by pair. The
training waits for it, so what it takes is also said in steps.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench._trainers import SIZES, ours

ROUNDS = int(os.environ.get("GLASSHOUSE_BENCH_ROUNDS", 9))
ALLOWED, STALL = 1.2, 1.0
"""Times `torch.save`, and steps, that are aimed at."""


def main() -> None:
    """Print what each takes."""
    size = SIZES["larger"]
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as root:
        training, words = ours("portable", size, 0, 1, stack)
        import torch

        from pipelines.checkpoints import RunFolder
        from registry.records.checkpoint_chain import Chain, ProfileName

        folder = RunFolder(Path(root) / "train")
        profile = ProfileName(name="portable", digest="c" * 64)
        chain = folder.resume(Chain(tokens="a" * 64, recipe="b" * 64, profile=profile, entries=()))

        def kept() -> None:
            folder.save(chain, training.write, step=0, end=0, loss=None)

        def saved() -> None:
            state = {"model": training.weights(), "optimizer": training.optimizer.state()}
            with (Path(root) / "state.pt").open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())

        def written() -> None:
            shutil.rmtree(Path(root) / "only", ignore_errors=True)
            (Path(root) / "only").mkdir()
            training.write(Path(root) / "only")

        took: dict[Callable[[], None], list[float]] = {saved: [], kept: [], written: []}
        for number in range(ROUNDS + 1):  # the first one is not counted
            for each, found in took.items():
                found += [timed(each)][number == 0 :]
        step = timed(lambda: training.step(0))
    ratio = statistics.median(ours / theirs for ours, theirs in zip(took[kept], took[saved], strict=True))
    print(f"{words}; {ROUNDS} rounds; a step takes {step:.2f} s")
    for label, each in (
        ("torch.save, flushed", saved),
        ("checkpoint", kept),
        ("its files alone, hashed", written),
    ):
        print(f"{label:30} {statistics.median(took[each]):6.2f} s")
    print(f"checkpoint / torch.save {ratio:.2f}  {ALLOWED:.2f} {'holds' if ratio <= ALLOWED else 'missed'}")
    stall = statistics.median(took[kept]) / step
    print(f"steps that a checkpoint takes {stall:.2f}  {STALL:.2f} {'holds' if stall < STALL else 'missed'}")


def timed(do: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
