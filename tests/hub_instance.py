"""A Hub of one's own for a test or a demo: the real server, in a real process, on loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 30
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
    process: subprocess.Popen[bytes]

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
    ) -> Iterator[HubInstance]:
        """Serve `folder` until the end of the block; a second start there finds what the first one left."""
        folder.mkdir(parents=True, exist_ok=True)
        tokens, port_file = folder / "tokens.txt", folder / "port"
        tokens.touch(mode=0o600)
        tokens.write_text(f"builder:{token}:{','.join(organizations)}\n")
        port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "registry.hub.server", "--root", str(folder), "--tokens", str(tokens)]
        command += ["--port", str(port), "--port-file", str(port_file)]
        command += ["--part-size", str(part_size)] if part_size else []
        with (folder / "server.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(port_file, process, folder / "server.log")
            yield cls(folder, f"http://127.0.0.1:{port_file.read_text().strip()}", token, process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
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

    def blob(self, sha256: str) -> Path:
        """Where the server keeps that large file."""
        return self.root / "blobs" / "sha256" / sha256[:2] / sha256[2:4] / sha256


def _wait(port_file: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not port_file.is_file():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
