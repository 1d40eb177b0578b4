"""What `glasshouse record` takes for a directory of 100,000 files, 2 GB: the first time, and when nothing changed.

Beside it: hashing the same files on all cores and nothing else, and what DVC takes to add the directory and to tell
that it did not change.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from registry.digest import sha256_files
from registry.project.known_digests import TICK, KnownDigests
from registry.project.measure import measure_paths
from tests.bench._paired import BIN

FILES = int(os.environ.get("GLASSHOUSE_BENCH_FILES", 100_000))
SIZE = 20 << 10
FOLDERS = 100
NAME = "data"


def main() -> None:
    """Make them, and measure them."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        paths = _fill(root)
        print(f"{FILES} files of {SIZE >> 10} KiB, on {os.cpu_count()} cores")
        hashed = min(_took(lambda: sha256_files(paths)) for _ in range(2))
        _tell("hashed on all cores", hashed, hashed)
        time.sleep(TICK / 1e9)
        first = _took(lambda: measure_paths(root, [NAME], known=KnownDigests(root)))
        _tell("measured the first time", first, hashed)
        known = min(_took(lambda: measure_paths(root, [NAME], known=KnownDigests(root))) for _ in range(3))
        _tell("measured again", known, hashed)
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


def _took(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def _tell(what: str, seconds: float, hashed: float) -> None:
    print(f"{what:<28}{seconds:7.2f} s {seconds / hashed:6.2f} x", flush=True)


if __name__ == "__main__":
    main()
