"""What has to be on this machine itself."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from registry import extras
from registry.audit import view
from registry.doctor.condition import Condition, bad, good, spared, unknown
from registry.variables import HF_HOME

TRIED = ((3, 11), (3, 13))
"""The oldest and the newest Python that this was tried with."""
SECONDS = 10.0
"""How long a program may take to say its version."""
ROOM = 1 << 30
"""Bytes that should be free: a small model with its copies."""


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Iterator[Condition]:
    """Whether this was tried with this Python."""
    words = f"{platform.python_implementation()} {'.'.join(map(str, version))}"
    oldest, newest = (".".join(map(str, one)) for one in TRIED)
    mend = f"use CPython {oldest} to {newest}"
    if version[:2] < TRIED[0]:
        yield bad("Python", f"{words} is too old", mend=mend)
    elif version[:2] > TRIED[1] or platform.python_implementation() != "CPython":
        yield unknown("Python", f"{words}: nobody tried Glasshouse with it", mend=mend)
    else:
        yield good("Python", words)


def git() -> Iterator[Condition]:
    """Whether git can be run: to build, to release, to audit."""
    yield _program("git", ["git", "--version"], "building, releasing and audits need it", "apt install git")


def dvc() -> Iterator[Condition]:
    """Whether DVC can be run: to build and to release."""
    yield _program("DVC", ["dvc", "--version"], "building and releasing need it", extras.mend("release"))


def disk(project: Path) -> Iterator[Condition]:
    """Whether there is room where files are written: this folder, the one for temporary files, that of caches."""
    free: dict[int, tuple[int, list[str]]] = {}
    try:
        places = {project.resolve(): "here", Path(tempfile.gettempdir()): "temporary files"}
    except FileNotFoundError as problem:
        yield bad("disk", f"no folder takes temporary files: {problem}", mend="set TMPDIR to a folder of yours")
        return
    home = Path(os.environ.get(HF_HOME) or Path.home() / ".cache")
    if home.is_dir():
        places.setdefault(home, "caches")
    for place, name in places.items():
        _, names = free.setdefault(place.stat().st_dev, (shutil.disk_usage(place).free, []))
        names.append(name)
    words = "; ".join(f"{size / 1e9:.1f} GB free ({', '.join(names)})" for size, names in free.values())
    if min(size for size, _ in free.values()) < ROOM:
        yield bad(
            "disk", f"{words}: less than {ROOM / 1e9:.1f} GB", mend="make room, or point TMPDIR and HF_HOME elsewhere"
        )
    else:
        yield good("disk", words)


def bubblewrap() -> Iterator[Condition]:
    """Whether audits can wall in the code of a release. Only audits need it: to lack it is not a fault."""
    if (fault := view.fault()) is None:
        yield good("bubblewrap", "it walls in what audits run")
    else:
        found = f"{fault}; audits need it, or --no-sandbox on a machine to throw away"
        yield spared("bubblewrap", found, mend=view.MEND)


def _program(name: str, command: Sequence[str], need: str, mend: str) -> Condition:
    """Whether a program is there, and says its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        return bad(name, f"it is not installed, or not on the PATH; {need}", mend=mend)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return unknown(name, f"`{' '.join(command)}` gave no answer: {problem}", mend=f"run it, and see; or {mend}")
    if done.returncode:
        return bad(name, f"`{' '.join(command)}` fails: {_last(done.stderr)}; {need}", mend=mend)
    return good(name, _last(done.stdout).removeprefix("git version "))


def _last(said: str) -> str:
    return ([line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"])[-1][:200]
