"""python -m tests.fuzz [--seconds N] [PARSER ...]: each parser, or those named, for N seconds, one after the other."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.fuzz.child import answers
from tests.fuzz.parsers import PARSERS

LEFT = Path(".fuzz")
"""Where the input stands that a parser died of."""


def fuzz(names: Iterable[str], seconds: float, left: Path = LEFT) -> tuple[bool, str]:
    """(whether each parser kept the law for so long, what their process said)."""
    with tempfile.TemporaryDirectory() as folder:
        at_hand = Path(folder) / "input"
        told = ",".join(names)
        command = [sys.executable, "-m", "tests.fuzz.child", told, str(seconds), str(at_hand)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return True, done.stdout
        left.mkdir(exist_ok=True)
        kept = left / f"{told[:80]}.input"
        kept.write_bytes(at_hand.read_bytes() if at_hand.exists() else b"")
        return False, f"{told} ended with {done.returncode}; the last input is in {kept}\n{done.stderr[-4000:]}"


def main() -> int:
    """0 where every parser kept the law."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("parsers", nargs="*", metavar="PARSER", help=", ".join(PARSERS))
    parser.add_argument("--seconds", type=float, default=60, help="for each (60)")
    parser.add_argument("--input", type=Path, help="feed this file alone, once, without bounds")
    asked = parser.parse_args()
    if unknown := set(asked.parsers) - PARSERS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: expected {', '.join(PARSERS)}")
    kept = True
    for name in asked.parsers or PARSERS:
        if asked.input:
            with tempfile.TemporaryDirectory() as folder:
                print(f"{name}: {'taken' if answers(name, asked.input.read_bytes(), Path(folder)) else 'refused'}")
            continue
        held, words = fuzz([name], asked.seconds)
        kept &= held
        print(words.rstrip(), flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
