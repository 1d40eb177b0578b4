"""A provider of identities of somebody else, in a process of its own: oidc-provider-mock, which stands on Authlib."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from registry.errors import Unavailable
from registry.server.access import issuers

START_SECONDS = 60


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        """Where it sends the browser is what is asked for here."""


def sign_in(address: str, subject: str) -> str:
    """Where the provider sends somebody of that subject whom a server sent to `address`."""
    asked = urllib.request.Request(address, urlencode({"sub": subject}).encode())
    try:
        urllib.request.build_opener(_Stay).open(asked).close()
    except urllib.error.HTTPError as answer:
        return str(answer.headers["Location"])
    raise AssertionError("it sends nobody back")


@contextmanager
def start(log: Path, **names: str) -> Iterator[str]:
    """The issuer's address, until the end of the block. names: {subject: preferred_username}."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    users = [{"sub": subject, "preferred_username": name} for subject, name in names.items()]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    for user in users:
        command += ["--user-claims", json.dumps(user)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        _wait(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        with suppress(Unavailable):
            issuers.fetch(address)
            return
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the provider did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)
