"""A Hub of one's own for a test or a demo: the real server, in a real process, on loopback."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from registry.server.access.accounts import Accounts
from registry.server.access.tokens import Role
from tests.hub_template import Served, Template

START_SECONDS = 60
_NUMBERS = itertools.count()
TOKEN = "loopback-token"
"""The token of the user `builder`, who may also write to the organizations that `start` is given."""


@dataclass(frozen=True, slots=True)
class HubInstance:
    """A server that runs.

    root: its folder, with `repos/` and `blobs/`.  url: without a slash at the end.  token: of its one user.
    """

    root: Path
    url: str
    token: str
    process: subprocess.Popen[bytes] | Served

    template: ClassVar[Template | None] = None
    """What becomes the servers that are started as they stand; None: each is a Python of its own."""

    @classmethod
    @contextmanager
    def start(
        cls,
        folder: Path,
        *,
        token: str = TOKEN,
        organizations: tuple[str, ...] = ("glasshouse",),
        port: int = 0,
        part_size: int | None = None,
        xet: bool = False,
        options: tuple[str, ...] = (),
        before: str = "",
        within: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[HubInstance]:
        """Serve `folder` until the end of the block; a second start there finds what the first one left.

        xet: whether it takes uploads by Xet, which the library prefers.
        options: more of the server's own, such as `--workers`, `2`.  before: code that it runs first.
        within: a command that runs the server's.  variables: of its environment, besides.
        """
        Accounts.of(folder).issue("builder", Role.WRITE, organizations, token=token)
        port_file = folder / f"port-{next(_NUMBERS)}"
        port_file.unlink(missing_ok=True)
        code = f"{before}\nimport sys\nfrom registry.server.__main__ import main\nsys.exit(main())"
        program = [*within, sys.executable, *(["-c", code] if before else ["-m", "registry.server"])]
        arguments = ["--root", str(folder), *options, "--port", str(port), "--port-file", str(port_file)]
        arguments += ["--part-size", str(part_size)] if part_size else []
        arguments += [] if xet else ["--no-xet"]
        environment = {**os.environ, **(variables or {})}
        process: subprocess.Popen[bytes] | Served
        if cls.template is not None and not before and not within:
            process = cls.template.start(arguments, folder / "server.log", environment)
        else:
            with (folder / "server.log").open("ab") as log:
                process = subprocess.Popen([*program, *arguments], stdout=log, stderr=log, env=environment)
        try:
            _wait(port_file, process, folder / "server.log")
            yield cls(folder, f"http://127.0.0.1:{port_file.read_text().strip()}", token, process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def environment(self, home: Path) -> Mapping[str, str]:
        """The variables of a client that talks to this server alone, with its cache in `home`."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def user(self, name: str, role: Role, *namespaces: str, only: tuple[str, ...] | None = None) -> str:
        """The token of a user, made if missing, and made a member of these organisations. only: what it is for."""
        return Accounts.of(self.root).issue(name, role, namespaces, only=only)[1]

    def blob(self, sha256: str) -> Path:
        """Where the server keeps that large file."""
        return self.root / "blobs" / "sha256" / sha256[:2] / sha256[2:4] / sha256


def _wait(port_file: Path, process: subprocess.Popen[bytes] | Served, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not port_file.is_file():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
