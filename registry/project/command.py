"""Running git and dvc as commands: no shell, no prompts, one error for each way it can go wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from registry import extras
from registry.errors import InputError, Unavailable

QUIET = {"GIT_TERMINAL_PROMPT": "0", "DVC_NO_ANALYTICS": "1", "LC_ALL": "C.UTF-8"}
FULL = ("No space left on device", "Out of diskspace", "Disk quota exceeded")
"""What programs say where a disk is full."""
MAX_WORDS = 1000
"""Characters of what a program said that an error repeats."""


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What `command`, run in `folder`, writes to its standard output.

    environment: all that it sees beside QUIET; None: what this process sees, without the variables that point git at
    another repository (`GIT_...`). Raises Unavailable where the program is not installed, or finds the disk full;
    InputError where it fails otherwise, with its words.
    """
    if environment is None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env={**environment, **QUIET},
            check=False,
        )
    except FileNotFoundError as problem:
        mend = extras.mend("release") if command[0] == "dvc" else f"install {command[0]} and run again"
        raise Unavailable(f"{command[0]} is not installed, or not on PATH", mend=mend) from problem
    if done.returncode:
        told = f"`{_short(command)}` failed with {done.returncode}: {_words(done.stderr or done.stdout)}"
        if any(words in told for words in FULL):
            raise Unavailable(told, mend="make room on the disk, or point TMPDIR at a larger one, and run it again")
        raise InputError(told, mend=f"run it in {folder} and mend what it says")
    return done.stdout


def _short(command: Sequence[str]) -> str:
    """The command without its settings (`-c NAME=VALUE`), as far as a person needs it."""
    words = [word for at, word in enumerate(command) if word != "-c" and (at == 0 or command[at - 1] != "-c")]
    return " ".join(words[:3])


def _words(said: str) -> str:
    """All lines that a program said, in one."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    told = "; ".join(line for line in lines if line)[:MAX_WORDS]
    return "".join(letter if letter.isprintable() else " " for letter in told) or "(it said nothing)"
