"""The Hub's server with all of its code imported, which becomes each server that a test starts.

To import it takes most of a second of a core, and the tests start a server a hundred times. What it becomes is a
process of its own as any other: with the command line, variables, folder and streams that it is given, ended by itself
or by a signal.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent


class Template:
    """The process that becomes servers. It is started with the first of them."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._asking, self._told = threading.Lock(), threading.Condition()
        self._started: list[int] = []
        self._codes: dict[int, int] = {}

    def start(self, arguments: Sequence[str], log: Path, variables: Mapping[str, str]) -> Served:
        """A server with these arguments in this folder, that writes to the end of `log`."""
        asked = {"arguments": arguments, "log": str(log), "variables": dict(variables), "folder": str(Path.cwd())}
        with self._asking:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.hub_template"],
                    cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )  # fmt: skip
                assert self._process.stdout is not None
                threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
            assert self._process.stdin is not None
            self._process.stdin.write(f"{json.dumps(asked)}\n")
            self._process.stdin.flush()
            with self._told:
                assert self._told.wait_for(lambda: self._started, 60), "the template of servers does not answer"
                return Served(self, self._started.pop())

    def code(self, pid: int, timeout: float | None = 0) -> int | None:
        """The exit code of one that has ended, or ends within so many seconds."""
        with self._told:
            self._told.wait_for(lambda: pid in self._codes, timeout)
            return self._codes.get(pid)

    def end(self) -> None:
        """It becomes no more servers. Those that run go on."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(60)

    def _listen(self, stream: IO[str]) -> None:
        with stream as lines:
            for line in lines:
                said = json.loads(line)
                with self._told:
                    if "code" in said:
                        self._codes[said["pid"]] = said["code"]
                    else:
                        self._started.append(said["pid"])
                    self._told.notify_all()


class Served:
    """A server that was started, with what the tests use of `subprocess.Popen`."""

    def __init__(self, template: Template, pid: int) -> None:
        self._template, self.pid = template, pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._template.code(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        code = self._template.code(self.pid, timeout)
        if code is None:
            raise subprocess.TimeoutExpired("the server", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it, unless the server has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def _stand() -> dict[str, Any] | None:
    """Wait for orders and tell of ends. Returns twice: in each server with its order, and here with None at the end."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken)
    orders = sys.stdin.fileno()
    waiting = b""
    while True:
        ready, _, _ = select.select([orders, wake], [], [])
        if wake in ready:
            os.read(wake, 1 << 16)
            _tell_of_ends()
        if orders in ready:
            data = os.read(orders, 1 << 20)
            if not data:
                return None
            waiting += data
            while b"\n" in waiting:
                line, _, waiting = waiting.partition(b"\n")
                child = os.fork()
                if not child:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    os.close(wake)
                    os.close(woken)
                    found: dict[str, Any] = json.loads(line)
                    return found
                print(json.dumps({"pid": child}), flush=True)


def _tell_of_ends() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        print(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}), flush=True)


def _become(asked: dict[str, Any]) -> None:
    """Take on what the server is given."""
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(old, new)
    os.close(nothing)
    os.close(log)
    os.environ.clear()
    os.environ.update(asked["variables"])
    os.chdir(asked["folder"])
    sys.argv[1:] = asked["arguments"]


if __name__ == "__main__":
    from registry.server.__main__ import main

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    order = _stand()
    if order is not None:
        _become(order)
        sys.exit(main())
