"""Commands run in turn, each in a process of its own, as a person runs them: what each takes, pair by pair."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
ROUNDS = int(os.environ.get("GLASSHOUSE_BENCH_ROUNDS", 9))
MEASURE = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
wall, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss, done.returncode, done.stdout + done.stderr]))
"""
"""Runs in a small process of its own: what a process took at most begins with what its parent had."""


class Took(NamedTuple):
    """What one run took."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds on all cores together, in user and system mode."""
    peak: int
    """Bytes of memory at most."""


@dataclass(frozen=True)
class Command:
    """What is run."""

    words: Sequence[object]
    """The command: a name or a path, and what follows it."""
    code: int = 0
    """How it must end."""
    did: Callable[[str], bool] = bool
    """Whether what it printed says that it did what is measured."""

    def took(self) -> Took:
        """Run it. Ends the benchmark where it does not do what is measured."""
        variables = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        measured = [sys.executable, "-c", MEASURE, *map(str, self.words)]
        done = subprocess.run(measured, capture_output=True, text=True, check=True, env=variables)
        wall, cpu, peak, code, said = json.loads(done.stdout)
        if code != self.code or not self.did(said):
            raise SystemExit(f"{self.words}: {code}\n{said}")
        return Took(wall, cpu, peak * (1 if sys.platform == "darwin" else 1024))


def compare(commands: Mapping[str, Command]) -> None:
    """Print a row for each command, by its label: medians, and the median of its ratios to the first one.

    One round more is run first, and not counted.
    """
    runs: dict[str, list[Took]] = {label: [] for label in commands}
    for number in range(ROUNDS + 1):
        for label, command in commands.items():
            took = command.took()
            runs[label] += [took] if number else []
    peers = next(iter(runs.values()))
    print(f"{ROUNDS} rounds in turn, {os.cpu_count()} cores of {processor()}; medians, and ratios pair by pair")
    for label, found in runs.items():
        wall, cpu = (statistics.median(column) for column in list(zip(*found, strict=True))[:2])
        slower = statistics.median(one.wall / other.wall for one, other in zip(found, peers, strict=True))
        costlier = statistics.median(one.cpu / other.cpu for one, other in zip(found, peers, strict=True))
        peak = max(took.peak for took in found)
        print(
            f"{label:36} {wall:6.2f} s {slower:5.2f} x   CPU {cpu:6.2f} s {costlier:5.2f} x   peak {peak / 1e6:5.0f} MB"
        )


def processor() -> str:
    """The model name of this machine's processor, and those of its features that decide how fast it hashes."""
    rows = (line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines())
    facts = {name.strip(): text.strip() for name, _, text in rows}
    known = [name for name in ("avx2", "avx512f", "sha_ni") if name in facts.get("flags", "").split()]
    return f"{facts.get('model name', 'a processor without a name')} ({', '.join(known)})"
