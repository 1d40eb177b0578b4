"""Where the source of a release runs: a folder of its own, with an environment of its own.

A child sees PATH, HOME (in the scratch folder), TMPDIR, the language, and nothing else of the auditor's environment:
no tokens, no keys, no agent. Only while packages are installed does it see where packages come from.

That is tidiness, not safety: without `bubblewrap` the child runs as the auditor and can read what the auditor can. With
it, it sees the system's programs, its Python and its scratch folder, and no network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from registry.errors import GlasshouseError, InputError, Unavailable, VerificationError
from registry.variables import PIP_FIND_LINKS, TRACKING

INSTALLING = ("PIP_", "UV_")
"""Variables that say where packages come from begin so."""
TOLD_TO_UV = {PIP_FIND_LINKS: "UV_FIND_LINKS", "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL", "PIP_CERT": "SSL_CERT_FILE"}
"""Those of pip that uv has under names of its own."""
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/run/systemd/resolve")
"""What a sandboxed child sees of the system, read-only."""
POLL_SECONDS = 0.2
LAST_WORDS = 4096
BUBBLEWRAP = "bwrap"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A scratch folder in which to run what cannot be trusted."""

    scratch: Path
    """Absolute; everything that the child writes lies below it."""
    programs: Path
    """The folder with its `python` and `dvc`."""
    bubblewrap: bool = False
    """Whether the child is walled in."""

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        log: str,
        installing: bool = False,
        variables: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Run `command` in `folder` to its end, what it says going to `log` below the scratch folder.

        installing: it may see where packages come from, and the network.  meanwhile: called several times a second.
        However this ends, no process of the command is left. Raises what its exit code says in the words of
        registry.errors (1 with a mend: VerificationError; 1 without, as after any exception, 3, or a signal, as on a
        CPU without an instruction: Unavailable; else InputError), with its last words.
        """
        path = self.scratch / f"{log}.log"
        environment = {**self.environment(installing=installing), **(variables or {})}
        wrapped = self.wrapped(command, folder, network=installing)
        child: subprocess.Popen[bytes] | None = None
        with path.open("wb") as stream:
            try:
                with _signals_later():
                    child = subprocess.Popen(
                        wrapped,
                        cwd=folder,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=stream,
                        stderr=stream,
                        start_new_session=True,
                    )
                while child.poll() is None:
                    meanwhile()
                    time.sleep(POLL_SECONDS)
            except OSError as problem:
                if child is not None:
                    raise
                raise Unavailable(
                    f"{command[0]} does not start: {problem.strerror}", mend=f"install {command[0]} and run again"
                ) from problem
            finally:
                if child is not None:
                    with suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
        if child.returncode:
            raise _failure(command, child.returncode, path)

    def environment(self, *, installing: bool = False) -> dict[str, str]:
        """The whole environment of a child."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if installing and (name.startswith(INSTALLING) or name in (*CERTIFICATES, *PROXIES))
        }
        if installing:  # uv has variables of its own for what pip is told
            for ours, theirs in TOLD_TO_UV.items():
                if ours in kept:
                    kept.setdefault(theirs, kept[ours])
            kept.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # the digests in the lock say what is right
        home = self.scratch / "home"
        for folder in (home, self.scratch / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        return {
            **kept,
            "PATH": os.pathsep.join((str(self.programs), SYSTEM_PATH)),
            "HOME": str(home),
            "TMPDIR": str(self.scratch / "tmp"),
            "LANG": "C.UTF-8",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.scratch / "dvc"),
            "DVC_SYSTEM_CONFIG_DIR": str(home),
            TRACKING: "off",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def wrapped(self, command: Sequence[str], folder: Path, *, network: bool) -> list[str]:
        """`command` behind bubblewrap, where that was asked for. Raises Unavailable where it is not installed."""
        if not self.bubblewrap:
            return list(command)
        if shutil.which(BUBBLEWRAP) is None:
            raise Unavailable(
                "bubblewrap is not installed, and --sandbox asks for it",
                mend="apt install bubblewrap; or leave --sandbox out, on a machine to throw away",
            )
        wall = [BUBBLEWRAP, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        wall += ["--share-net"] if network else []
        for path in SYSTEM:
            wall += ["--ro-bind-try", path, path]
        wall += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        for path in dict.fromkeys((sys.base_prefix, str(self.programs.parent), *_links(network))):
            wall += ["--ro-bind-try", path, path]
        wall += ["--bind", str(self.scratch), str(self.scratch), "--chdir", str(folder), "--", *command]
        return wall


@contextmanager
def _signals_later() -> Iterator[None]:
    """Within, what asks this process to end waits for the end of the block: a child that has started is then known."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def _links(installing: bool) -> list[str]:
    """Local folders that packages come from."""
    return [word for word in os.environ.get(PIP_FIND_LINKS, "").split() if installing and Path(word).is_dir()]


def _failure(command: Sequence[str], code: int, log: Path) -> GlasshouseError:
    """What the exit code says, with the last line of the log: words of a child that nobody trusts."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - LAST_WORDS))
        lines = stream.read().decode("utf-8", "replace").strip().splitlines() or ["(it said nothing)"]
    said = [line for line in lines if not line.lstrip().startswith("mend:")]
    told = said[-1] if said else lines[-1]
    words = "".join(c if c.isprintable() else "?" for c in told.strip())[:300]
    kind = Unavailable if code < 0 else {1: VerificationError, 3: Unavailable}.get(code, InputError)
    if kind is VerificationError and len(said) == len(lines):
        kind = Unavailable  # 1 is also how Python ends after an exception that nobody meant; that accuses nobody
    name = " ".join(Path(word).name if index == 0 else word for index, word in enumerate(command[:3]))
    return kind(f"`{name}` ended with {code}: {words}", mend=f"read {log}")
