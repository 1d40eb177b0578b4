"""Rows of a data manifest: written, verified, and one proven, as many as ROWS names; time and memory.

ROWS=1000000,10000000 FORM=parquet python -m tests.bench manifest
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROWS = os.environ.get("ROWS", "1000000,10000000")
FORM = os.environ.get("FORM", "parquet")
"""In which form the rows stand: `parquet`, or `jsonl`."""
ONE = """
import resource, sys
from pathlib import Path
from tests.bench import manifest
manifest.{what}(Path(sys.argv[1]), int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
"""What one process does, so that its memory is its own."""


def main() -> None:
    """Print what each number of rows took."""
    for count in map(int, ROWS.split(",")):
        with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
            for what in ("write", "verify", "prove"):
                command = [sys.executable, "-c", ONE.format(what=what), folder, str(count)]
                started = time.perf_counter()
                process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                said = process.stdout.read() if process.stdout else ""
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                if process.returncode:
                    raise SystemExit(f"{what} of {count} rows ends in {process.returncode}")
                name = f"{count:,} rows, {FORM}, {what}"
                cpu, took = usage.ru_utime + usage.ru_stime, time.perf_counter() - started
                print(
                    f"{name}: {took:.0f} s, {cpu:.0f} s of CPU, {1e6 * cpu / count:.1f} us a row, "
                    f"{said.strip()} MiB at most",
                    flush=True,
                )


def write(folder: Path, count: int) -> None:
    """Write a manifest of `count` rows."""
    from registry.records import data_manifest
    from registry.records.data_manifest import DataSource
    from registry.records.data_row import Row

    source = "hf://datasets/org/data@" + "0" * 40

    def rows() -> Iterator[Row]:
        for number in range(count):
            used = number % 20 > 0
            yield Row(
                source=source, path=f"train/{number:012d}", sha256=f"{number:064x}", size=number % 5000,
                license="CC-BY-4.0", use="train" if used else "excluded", reason=None if used else "license",
            )  # fmt: skip

    data_manifest.write(folder, rows(), [DataSource(id=source, kind="huggingface", license=None)], FORM)  # type: ignore[arg-type]  # one of the two


def verify(folder: Path, count: int) -> None:
    """Verify it."""
    from registry.records import data_manifest

    summary = data_manifest.read_summary(folder / data_manifest.SUMMARY)
    data_manifest.verify(summary, folder / summary.stored_in)
    assert summary.rows == count


def prove(folder: Path, count: int) -> None:
    """Prove one row, and check the proof."""
    from registry.verification import inclusion

    proof = inclusion.prove(folder, f"train/{count // 3:012d}")
    inclusion.check(proof, proof.root, count)


if __name__ == "__main__":
    main()
