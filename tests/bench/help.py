"""`glasshouse --help` against `dvc --version`: CPU seconds of each, in turn, as a person runs them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 9
BIN = Path(sys.executable).parent


def main() -> None:
    """Print the median of each, and of the ratio, pair by pair."""
    pairs = [(_cpu("glasshouse", "--help"), _cpu("dvc", "--version")) for _ in range(ROUNDS + 1)][1:]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    print(f"glasshouse --help {ours:.3f} s, dvc --version {theirs:.3f} s: {ratio:.2f} x; median of {ROUNDS} pairs")


def _cpu(command: str, word: str) -> float:
    """Seconds of CPU that the command takes, in user and system mode."""
    process = subprocess.Popen([BIN / command, word], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} {word} ends in {process.returncode}")
    return usage.ru_utime + usage.ru_stime
