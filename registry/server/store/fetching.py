"""Branches and tags of another Hub's repository, brought by git, which checks each object against its name.

Law: the other side is hostile. Git asks no other host than the one it is told, runs nothing, reads no configuration,
and ends beyond its bounds of bytes, memory and time; what git's own check of objects refuses does not come in.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO
from urllib.parse import urlsplit

from registry.errors import Unavailable
from registry.server.store import git, refs
from registry.variables import SSL_CERT_FILE

MAX_PACK = 4 << 30
"""Bytes of one file that git writes: of all objects that come at once."""
MAX_MEMORY = 8 << 30
"""Bytes of addresses that git may take, mapped files with them."""
MAX_REFS = 20_000
SECONDS = 600
MAX_SAID = 1_000
"""Bytes of what git says, the other side's own words among them, that are passed on."""
REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_PASSED_ON = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_DIR")


def fetch(folder: Path, url: str, token: str | None) -> None:
    """Make the branches and tags of the bare repository `folder` those at `url`; what is not there any more goes.

    token: for that server.  Raises Unavailable where it does not give them, or too much.
    """
    scheme = urlsplit(url).scheme
    more = (
        "protocol.allow=never", f"protocol.{scheme}.allow=always", "http.followRedirects=false",
        "http.lowSpeedLimit=1000", "http.lowSpeedTime=30", "fetch.fsckObjects=true", "fetch.unpackLimit=1",
        "credential.helper=", "core.askPass=", "pack.threads=1", "core.bigFileThreshold=16m",
    )  # fmt: skip
    words = ("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--update-head-ok", "--no-auto-gc",
             "--no-recurse-submodules", "--end-of-options", url, *REFSPECS)  # fmt: skip
    bounded = f'ulimit -f {MAX_PACK // 512}; ulimit -v {MAX_MEMORY // 1024}; exec "$@"'  # in the shell's own units
    command = ["sh", "-c", bounded, "sh", *git.command(folder, *words, more=more)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        env=git.environment(_environment(url, token)),
    ) as process:  # fmt: skip
        said = list[bytes]()
        listener = Thread(target=_listen, args=(process.stderr, said), daemon=True)
        listener.start()
        try:
            process.wait(SECONDS)
            listener.join(SECONDS)
        except BaseException as problem:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(problem, subprocess.TimeoutExpired):
                raise
            raise Unavailable(f"git has not fetched {url} in {SECONDS} s", mend="try again later") from problem
    if process.returncode:
        words_of_git = b"".join(said).decode(errors="replace").strip()
        raise Unavailable(f"git cannot fetch {url}: {words_of_git}", mend="try again later")
    if len(refs.named(folder)) > MAX_REFS:
        raise Unavailable(f"{url} has more than {MAX_REFS} branches and tags", mend="clone what you need of it")


def _listen(stream: IO[bytes], said: list[bytes]) -> None:
    """Take note of the first of what git says, and pass over the rest, however much it is."""
    said.append(stream.read(MAX_SAID))
    while stream.read(MAX_SAID):
        pass


def _environment(url: str, token: str | None) -> Mapping[str, str]:
    """Proxies and certificates of this machine; the token, for this server alone, where no other process sees it."""
    found = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if certificates := os.environ.get(SSL_CERT_FILE):
        found["GIT_SSL_CAINFO"] = certificates
    if token is not None:
        parts = urlsplit(url)
        basic = base64.b64encode(f"mirror:{token}".encode()).decode()
        found |= {
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }  # fmt: skip
    return found
