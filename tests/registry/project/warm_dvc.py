"""The real dvc, loaded once: each command is a fork of one process, which spares it the second that loading takes.

`python -m tests.registry.project.warm_dvc` reads commands from its standard input, a line of JSON each. It answers each
with the code that dvc ended with.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

LOADED = (
    "dvc.cli.parser",
    "dvc.repo",
    "dvc.repo.reproduce",
    "dvc.repo.add",
    "dvc.repo.imp",
    "dvc.repo.push",
    "dvc.stage.run",
)


def ended(words: Sequence[str], root: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run `dvc` with those words in `root`: (its exit code, its stdout, its stderr)."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        server = _server()
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps([list(words), str(root), dict(environment), str(out), str(err)]) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline()), out.read_text(), err.read_text()


@cache
def _server() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __name__]
    server = subprocess.Popen(
        command, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)  # it ends where there is no more to read
    return server


def _serve() -> None:
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        if not (child := os.fork()):
            _become(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(words: list[str], root: str, environment: dict[str, str], out: str, err: str) -> NoReturn:
    """Be `python -m dvc` with those words."""
    from dvc.cli import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(root)
    for name, stream in ((os.devnull, sys.stdin), (out, sys.stdout), (err, sys.stderr)):
        opened = os.open(name, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, stream.fileno())
        os.close(opened)
    code = 70
    try:
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
