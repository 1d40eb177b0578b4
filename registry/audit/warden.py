"""The process that stands between an audit and one command of a release: it starts it, bounds it, and ends all of it.

It is run as a file of its own, `python -I -S warden.py`, and imports nothing of ours, so that it starts at once. On its
standard input comes one line, the order; when that closes, by whatever end of the auditor, everything ends. What the
command says goes, bounded, to its standard error, which is a file of the auditor's. Its answer is one line on its
standard output: {"code": the exit code, negative for a signal, or null, "over": which bound was broken, or null,
"start": why it did not start, or null, "left": how many processes could not be ended}.

Law: when it has answered, no process of the command is left, also none that left its session or whose parents are gone:
orphans become children of the warden (prctl(2), PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.1
PIECE = 1 << 16
LAST_WORDS = 4096
"""Bytes of the end that are kept of what a command says beyond its bound."""
PATIENCE_SECONDS = 60.0
"""How long processes may take to go after they were killed: one that waits for a disk goes late."""
SUBREAPER, NO_NEW_PRIVILEGES = 36, 38


class Log:
    """What a command says: its beginning up to a bound, and its last words."""

    def __init__(self, stream: int, most: int) -> None:
        self._stream, self._left, self._cut, self._last = stream, most, 0, b""

    def take(self, data: bytes) -> None:
        """Write, of what was said, what still has room; keep the end of the rest."""
        now, late = data[: self._left], data[self._left :]
        self._left -= len(now)
        self._cut += len(late)
        self._last = (self._last + late)[-LAST_WORDS:]
        self._write(now)

    def close(self) -> None:
        """Write the last words of what was left out."""
        if self._cut:
            left_out = self._cut - len(self._last)
            self._write(b"\n[%d bytes are left out here]\n" % left_out + self._last)

    def _write(self, data: bytes) -> None:
        with suppress(OSError):  # a full disk: the command's own bound tells of it
            while data:
                data = data[os.write(self._stream, data) :]


class Warden:
    """One command, from its start to the end of its last process."""

    def __init__(self, order: dict[str, Any], control: int, log: Log) -> None:
        self.order, self.control, self.log = order, control, log
        self.code: int | None = None
        self.began, self.shared = time.monotonic(), shared_memory()
        reader, writer = os.pipe()
        self.said: int | None = reader
        os.set_blocking(reader, False)
        try:
            self.child = subprocess.Popen(
                order["command"], cwd=order["folder"], stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(writer)
        with suppress(OSError), open(f"/proc/{self.child.pid}/oom_score_adj", "w") as stream:
            stream.write("1000")  # where memory ends, it is the first to go

    def watch(self) -> str | None:
        """Until the command ends, the auditor asks for its end, or a bound is broken, which is then named."""
        looked = self.began
        while self.code is None:
            waiting = [self.control] + ([self.said] if self.said is not None else [])
            ready, _, _ = select.select(waiting, [], [], POLL_SECONDS)
            if self.control in ready:
                return None
            self.listen(1)
            self.reap()
            if time.monotonic() - looked >= POLL_SECONDS:
                looked = time.monotonic()
                if (over := self.over()) is not None:
                    return over
        return None

    def over(self) -> str | None:
        """Which bound is broken: `seconds`, `disk`, `processes` or `memory`."""
        allowed = self.order["allowance"]
        if time.monotonic() - self.began > allowed["seconds"]:
            return "seconds"
        disk = os.statvfs(self.order["disk"])
        if disk.f_bavail * disk.f_frsize < allowed["free"] or (disk.f_files and disk.f_favail < allowed["names"]):
            return "disk"
        found = below(os.getpid())
        if len(found) > allowed["processes"]:
            return "processes"
        more = max(0, shared_memory() - self.shared)  # which no process need have in its address space
        return "memory" if sum(map(memory, found)) + more > allowed["memory"] else None

    def listen(self, pieces: int | None = None) -> None:
        """Log what was said until now, at most so many pieces of it."""
        while self.said is not None and pieces != 0:
            try:
                data = os.read(self.said, PIECE)
            except BlockingIOError:
                return
            if not data:
                os.close(self.said)
                self.said = None
            self.log.take(data)
            pieces = pieces and pieces - 1

    def reap(self) -> None:
        """Take notice of every process that has ended."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.child.pid:
                    self.code = self.child.returncode = os.waitstatus_to_exitcode(ended[1])

    def end(self) -> None:
        """End every process below this one. First all are stopped, so that none starts another while others end."""
        until = time.monotonic() + PATIENCE_SECONDS
        stopped: set[int] = set()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)  # all that can be done where there is no /proc
        while (found := below(os.getpid())) and time.monotonic() < until:
            fresh = found - stopped
            for pid in fresh or found:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGSTOP if fresh else signal.SIGKILL)
            stopped = stopped | found if fresh else set()
            self.reap()
            self.listen(1)
        self.reap()
        self.listen(PIECE)


def below(pid: int) -> set[int]:
    """Every process that descends from `pid`. Empty where the system does not tell."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        with suppress(OSError):  # it has ended meanwhile
            for task in Path(f"/proc/{parent}/task").iterdir():
                with suppress(OSError):
                    children = {int(word) for word in (task / "children").read_bytes().split()} - found
                    found |= children
                    waiting += children
    return found


def memory(pid: int) -> int:
    """Bytes of memory that a process shares with no other; 0 for one that has ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as stream:
            _, resident, shared, *_ = map(int, stream.read().split())
    except (OSError, ValueError):
        return 0
    return max(0, resident - shared) * resource.getpagesize()


def shared_memory() -> int:
    """Bytes of memory that this machine's processes share, in files without a name (memfd_create(2)) too; 0 where the
    system does not tell."""
    with suppress(OSError, ValueError, IndexError), open("/proc/meminfo", "rb") as stream:
        return next((int(line.split()[1]) << 10 for line in stream if line.startswith(b"Shmem:")), 0)
    return 0


def bound(order: dict[str, Any]) -> None:
    """Bind this process, and so each below it, to what the system itself can bound."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most, hard = order["allowance"]["file"], resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(SUBREAPER, 1, 0, 0, 0)
        if not order["walled"]:  # bubblewrap may need its own, and takes them from what it starts
            prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def main() -> None:
    """Carry out the order on standard input, and answer."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # a handler, which its children do not inherit
        signal.signal(asked, lambda number, frame: None)
    line = b""
    while not line.endswith(b"\n"):
        if not (piece := os.read(0, PIECE)):
            return  # the auditor ended before it had said what to do
        line += piece
    order = json.loads(line)
    bound(order)
    log = Log(2, order["allowance"]["log"])
    try:
        warden = Warden(order, 0, log)
    except OSError as problem:
        answer: dict[str, Any] = {"code": None, "over": None, "start": problem.strerror, "left": 0}
    else:
        try:
            over = warden.watch()
        finally:
            warden.end()
            log.close()
        answer = {"code": warden.code, "over": over, "start": None, "left": len(below(os.getpid()))}
    with suppress(BrokenPipeError):  # the auditor was killed, and nobody listens
        os.write(1, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
