"""A small DVC project with git, as its builder runs it: what the tests of recording share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from registry.files import write_atomic
from tests.registry.project import warm_dvc

RECORD = "python -m registry record"
"""Begins the command of a stage: `dvc` below puts this Python first, wherever it lies and however it is spelled."""


def start(root: Path, files: Mapping[str, str]) -> None:
    """Make a project of these files at `root`."""
    for path, data in {**_initialised(), **{path: text.encode() for path, text in files.items()}}.items():
        write_atomic(root / path, data)
    git("init", "--quiet", root=root)
    git("add", *_initialised(), root=root)


@cache
def _initialised() -> Mapping[str, bytes]:
    """The files that `dvc init` makes, and adds to the index of git. It is run once: that takes a second."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        git("init", "--quiet", root=root)
        dvc("init", "--quiet", root=root)
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
        return {path: (root / path).read_bytes() for path in listed.split("\0") if path}


def build(root: Path, files: Mapping[str, str]) -> Path:
    """Make a project of these files at `root`, run it, and commit everything."""
    start(root, files)
    dvc("repro", root=root)
    commit(root)
    return root


def commit(root: Path) -> None:
    """Commit everything."""
    git("add", "--all", root=root)
    git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "All", root=root)


def git(*words: str, root: Path) -> None:
    """Run git."""
    subprocess.run(["git", *words], cwd=root, check=True)


def dvc(*words: str, root: Path, code: int = 0, **variables: str) -> str:
    """What dvc says, which has to end in `code`."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": path} | variables
    ended, out, err = warm_dvc.ended(words, root, environment)
    assert ended == code, out + err
    return out + err
