"""Training speed: the profiles against a plain loop as nanoGPT has it, and the tree of sums against plain DDP.

All trainings are started at once and take two steps each in turn, so that a busy machine slows all alike; a ratio is
the median over the rounds, each against its peer in the same round. The peer is the same model, written in torch alone:
sdpa, RMSNorm, F.cross_entropy, fused AdamW, MKL's products; the whole batch at once.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines import supervise
from pipelines.determinism import PROFILES
from tests.bench._trainers import SIZES

ROUNDS = int(os.environ.get("GLASSHOUSE_BENCH_ROUNDS", 15))
WARM_UP = 3
FOREIGN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that would choose numpy's BLAS kernel for the trainings; the portable profile sets its own."""


@dataclass(eq=False)
class Trainer:
    """One training of `processes` processes with `threads` threads each."""

    label: str
    kind: str
    processes: int = 1
    threads: int = 1
    workers: list[subprocess.Popen[str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    words: str = ""

    def start(self, size: str, meeting: Path) -> None:
        """Start its processes."""
        threads = str(self.threads)
        for rank in range(self.processes):
            variables = {key: value for key, value in os.environ.items() if key not in FOREIGN} | {
                "RANK": str(rank), "WORLD_SIZE": str(self.processes), "THREADS": threads, "MEETING": str(meeting),
                "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1",
                "GLOO_SOCKET_IFNAME": "lo",
            }  # fmt: skip
            if self.kind.removesuffix("-fsdp") in PROFILES:
                variables |= supervise.KEEP_MEMORY
            command = [sys.executable, "-m", "tests.bench._trainers", self.kind, size]
            self.workers.append(
                subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
        said = [self._said(worker, "ready ") for worker in self.workers]
        self.words = said[0]

    def steps(self, count: int) -> float:
        """Seconds that a step took."""
        return self.did(str(count))[0] / count

    def did(self, line: str) -> tuple[float, float]:
        """Seconds until all its processes have done what `line` tells them, and seconds of all their processors."""
        started = time.perf_counter()
        for worker in self.workers:
            assert worker.stdin is not None
            print(line, file=worker.stdin, flush=True)
        worked = [float(self._said(worker, "")) for worker in self.workers]
        return time.perf_counter() - started, sum(worked)

    def memory(self) -> int:
        """The most bytes that one of its processes ever held."""
        found = []
        for worker in self.workers:
            assert worker.stdin is not None
            print("memory", file=worker.stdin, flush=True)
            found.append(int(self._said(worker, "")))
        return max(found)

    def stop(self) -> None:
        """End its processes."""
        for worker in self.workers:
            worker.kill()
            worker.communicate()

    def _said(self, worker: subprocess.Popen[str], prefix: str) -> str:
        assert worker.stdout is not None
        path = ""
        for line in worker.stdout:
            if line.startswith("MKL_VERBOSE oneMKL"):
                path = f" ({line.removeprefix('MKL_VERBOSE ').strip()})"
            elif not line.startswith("MKL_VERBOSE") and line.startswith(prefix):
                return line.removeprefix(prefix).strip() + path
        raise SystemExit(f"{self.label}: a process ended with {worker.wait()}")


@dataclass(frozen=True)
class Aim:
    """What one training is held to."""

    peer: str
    """The label of the training beside it."""
    speed: float
    """The ratio of tokens a second that it has at least."""
    memory: float | None = None
    """The ratio of bytes that one of its processes holds at most; None: that is not asked."""


ONE, TWO, DDP = "plain, 1 process of 1 thread", "plain, 1 process of 2 threads", "plain, DDP, 2 processes"
FSDP = "plain, FSDP2, 2 processes"


def trainers() -> list[tuple[Trainer, list[Aim]]]:
    """Each with what it is held to; with nothing, where it is a peer alone."""
    shared = [Aim(FSDP, 0.95, 1.1), Aim(DDP, 0.95)]
    return [
        (Trainer(ONE, "plain"), []),
        (Trainer("portable, 1 process", "portable"), [Aim(ONE, 0.95)]),
        (Trainer("native, 1 process", "native"), [Aim(ONE, 1.0)]),
        (Trainer(TWO, "plain", threads=2), []),
        (Trainer(DDP, "plain-ddp", 2), []),
        (Trainer("plain, tree, 2 processes", "plain-tree", 2), [Aim(DDP, 0.95)]),
        (Trainer("portable, 2 processes", "portable", 2), [Aim(TWO, 0.95), Aim(DDP, 0.95)]),
        (Trainer("native, 2 processes", "native", 2), [Aim(TWO, 1.0), Aim(DDP, 0.95)]),
        (Trainer(FSDP, "plain-fsdp", 2), []),
        (Trainer("plain, FSDP2 by the tree", "plain-fsdp-tree", 2), shared),
        (Trainer("portable, FSDP2 by the tree", "portable-fsdp", 2), shared),
        (Trainer("native, FSDP2 by the tree", "native-fsdp", 2), shared),
    ]


def main() -> None:
    """Print a table for each size."""
    for size in os.environ.get("GLASSHOUSE_BENCH_SIZES", ",".join(SIZES)).split(","):
        measure(size)


def measure(size: str) -> None:
    """Run all trainings of one size in turn, and print their rates and ratios."""
    aims = {trainer.label: found for trainer, found in trainers()}
    chosen = {trainer.label: trainer for trainer, _ in trainers() if trainer.label in wanted(aims)}
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        try:
            for number, trainer in enumerate(chosen.values()):
                trainer.start(size, Path(folder) / str(number))
                trainer.steps(WARM_UP)
            for _ in range(ROUNDS):
                for trainer in chosen.values():
                    trainer.seconds.append(trainer.steps(2))
            memory = {label: trainer.memory() for label, trainer in chosen.items()}
        finally:
            for trainer in chosen.values():
                trainer.stop()
    print(f"\n{size}: {SIZES[size]}; {SIZES[size].tokens} tokens a step; {os.cpu_count()} cores")
    for label, trainer in chosen.items():
        rate = SIZES[size].tokens / statistics.median(trainer.seconds)
        print(f"{label:30} {rate:9,.0f} tokens/s  {memory[label] / 1e6:5.0f} MB a process")
        for aim in aims[label]:
            peer = chosen[aim.peer]
            ratios = [theirs / ours for ours, theirs in zip(trainer.seconds, peer.seconds, strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            held = memory[label] / memory[aim.peer]
            speed = f"{middle:5.2f} ({low:4.2f}-{high:4.2f})  {aim.speed:.2f} {_judged(middle >= aim.speed)}"
            bound = f"  {aim.memory:.2f} {_judged(held <= aim.memory)}" if aim.memory else ""
            print(f"    against {aim.peer:30} {speed}; memory {held:4.2f}{bound}")
    for kind, words in {trainer.kind: trainer.words for trainer in chosen.values()}.items():
        print(f"  {kind}: {words}")


def wanted(aims: Mapping[str, list[Aim]]) -> set[str]:
    """The labels that GLASSHOUSE_BENCH_TRAININGS has a part of (by default all), with their peers."""
    part = os.environ.get("GLASSHOUSE_BENCH_TRAININGS", "")
    labels = {label for label in aims if part in label}
    return labels | {aim.peer for label in labels for aim in aims[label]}


def _judged(holds: bool) -> str:
    return "holds" if holds else "missed"


if __name__ == "__main__":
    main()
