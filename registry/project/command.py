"""Running git and dvc as commands: no shell, no prompts, one error for each way it can go wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from registry import extras
from registry.errors import InputError, Unavailable


def run(command: Sequence[str], folder: Path, variables: Mapping[str, str] = MappingProxyType({})) -> str:
    """What `command`, run in `folder` with `variables` set, writes to its standard output.

    Raises Unavailable where the program is not installed, InputError where it fails, with its last words.
    """
    quiet = {"GIT_TERMINAL_PROMPT": "0", "DVC_NO_ANALYTICS": "1", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **quiet, **variables},
            check=False,
        )
    except FileNotFoundError as problem:
        mend = extras.mend("release") if command[0] == "dvc" else f"install {command[0]} and run again"
        raise Unavailable(f"{command[0]} is not installed, or not on PATH", mend=mend) from problem
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["(it said nothing)"]
        raise InputError(
            f"`{' '.join(command[:3])}` failed with {done.returncode}: {words[-1][:300]}",
            mend=f"run it in {folder} and mend what it says",
        )
    return done.stdout
