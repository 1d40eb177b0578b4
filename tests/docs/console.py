"""Pages whose ```console blocks are run, from top to bottom in one shell: what a page shows is what happened."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (?:.*\\\n)*.*\n", re.MULTILINE)
_SECONDS = re.compile(r" +\d+\.\d\d s")
_END = 'ended=$?; printf "\\0"; (exit $ended)\n'
"""Marks where the output of a command ends, and leaves `$?` as it was."""


def renewed(page: Path) -> str:
    """The text of `page` with what its commands print now. How long something took is left as it was.

    They run in an empty folder in which `tests` is the checkout's.
    """
    text = page.read_text()
    commands = [command for block in _BLOCK.findall(text) for command in _COMMAND.findall(block)]
    printed = iter(_run(commands))

    def block(found: re.Match[str]) -> str:
        now = "".join(command + next(printed) for command in _COMMAND.findall(found[0]))
        return found[0] if _timeless(now) == _timeless(found[0]) else now

    return _BLOCK.sub(block, text)


def _run(commands: list[str]) -> list[str]:
    script = "".join(f"{command.removeprefix('$ ')}{_END}" for command in commands)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tests").symlink_to(ROOT / "tests")
        done = subprocess.run(
            ("bash",),
            input=script,
            cwd=folder,
            env={**os.environ, "PATH": path, "COLUMNS": "120", "LC_ALL": "C", "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    *printed, rest = done.stdout.split("\0")
    assert len(printed) == len(commands) and not rest, done.stdout
    return printed


def _timeless(text: str) -> str:
    return _SECONDS.sub("", text)
