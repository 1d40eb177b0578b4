"""What `glasshouse record` takes for a directory of 100,000 files, 2 GB: the first time, and when nothing changed.

Beside it: hashing the same files on all cores and nothing else, and what DVC takes to add the directory and to tell
that it did not change.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from registry.digest import sha256_files
from registry.project.known_digests import TICK, KnownDigests
from registry.project.measure import measure_paths
from tests.bench._paired import BIN

FILES = int(os.environ.get("GLASSHOUSE_BENCH_FILES", 100_000))
SIZE = 20 << 10
FOLDERS = 100
NAME = "data"
ROUNDS = 3


def main() -> None:
    """Make them, and measure them."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        paths = _fill(root)
        print(f"{FILES} files of {SIZE >> 10} KiB, on {os.cpu_count()} cores")
        rounds = []
        for _ in range(ROUNDS):
            time.sleep(TICK / 1e9)
            hashed = _took(lambda: sha256_files(paths))
            first = _took(lambda: measure_paths(root, [NAME], known=KnownDigests(root, anew=True)))
            again = _took(lambda: measure_paths(root, [NAME], known=KnownDigests(root)))
            rounds.append((hashed, first, again))
        print(f"{ROUNDS} rounds, one after the other in each: medians, and each round's ratio of wall time")
        hashed = _median(row[0] for row in rounds)
        for what, column in (("hashed on all cores", 0), ("measured the first time", 1), ("measured again", 2)):
            _tell(what, _median(row[column] for row in rounds), hashed)
            print("  ".join(f"{row[column].wall / row[0].wall:.2f}" for row in rounds), flush=True)
        _tell("dvc add", _took(lambda: _run(root, "dvc", "add", "--quiet", NAME)), hashed)
        _tell("dvc status", _took(lambda: _run(root, "dvc", "status", "--quiet")), hashed)


def _fill(root: Path) -> list[Path]:
    _run(root, "git", "init", "--quiet")
    _run(root, "dvc", "init", "--quiet")
    paths = [root / NAME / f"{number % FOLDERS:02}" / str(number) for number in range(FILES)]
    filling = os.urandom(SIZE - 8)
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8, "big") + filling)
    return paths


def _run(root: Path, program: str, *words: str) -> None:
    found = BIN / program
    subprocess.run([found if found.exists() else program, *words], cwd=root, check=True, stdout=subprocess.DEVNULL)


class Seconds(NamedTuple):
    """What something took."""

    wall: float
    """By the clock."""
    cpu: float
    """On all cores together, of this process and those that it started: the busier the machine, the less wall says."""


def _took(work: Callable[[], object]) -> Seconds:
    before = time.perf_counter(), os.times()
    work()
    wall, used = time.perf_counter() - before[0], os.times()
    return Seconds(wall, sum(used[:4]) - sum(before[1][:4]))


def _median(rows: Iterable[Seconds]) -> Seconds:
    return Seconds(*map(statistics.median, zip(*rows, strict=True)))


def _tell(what: str, took: Seconds, hashed: Seconds) -> None:
    ratios = f"{took.wall / hashed.wall:6.2f} x   {took.cpu:7.2f} s of CPU {took.cpu / hashed.cpu:6.2f} x"
    print(f"{what:<28}{took.wall:7.2f} s {ratios}", flush=True)


if __name__ == "__main__":
    main()
