"""The stage's side of sending: a process that sends, how long it is waited for, and one warning where it fails.

Whatever MLflow, its database, its server or its network does is done to that process. It is ended where no entry
leaves the folder for a while.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipelines.tracking import spool
from pipelines.tracking.entries import Entry, Exported
from registry.errors import GlasshouseError

PATIENCE = 60.0
"""Seconds for one entry, the first one with the start of MLflow and of its database."""
SLOWEST = 1 << 20
"""Bytes in a second: a model may take so much longer."""
POLL = 0.05
COMMAND = "python -m pipelines.tracking"
MAX_SAID = 1000


class Sender:
    """Sends entries from a process of its own. It raises nothing: what is amiss is one warning, when it finishes.

    said, noise: where that process writes what is to be told, and what MLflow writes.
    """

    def __init__(self, said: IO[bytes], noise: IO[bytes]) -> None:
        self._said, self._noise = said, noise
        self._child: subprocess.Popen[bytes] | None = None
        self._lost = 0

    def put(self, entry: Entry) -> None:
        """Keep `entry` until it is sent."""
        self._lost += not spool.put(entry)

    def start(self) -> None:
        """Begin to send what waits, and what will. Ctrl-C is not for that process: it still says how a run ended."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "pipelines.tracking", "--follow"],
            stdin=subprocess.PIPE, stdout=self._said, stderr=self._noise, start_new_session=True,
        )  # fmt: skip

    def finish(self) -> None:
        """Wait for the rest to be sent, as long as it goes on, and print a warning where something was not."""
        stalled = self._wait()
        said, noise = (_lines(file) for file in (self._said, self._noise))
        left = len(spool.waiting())
        words = [stalled] if stalled else said or (noise[-1:] if left else [])
        if self._lost:
            words.append(f"there was no room for {self._lost} entries in {spool.FOLDER}")
        if words or left:
            print(f"warning: MLflow was not told all. {'; '.join(words)[:MAX_SAID]}", file=sys.stderr)
        if left:
            print(f"  {left} entries wait in {spool.FOLDER}: the next stage sends them, or: {COMMAND}", file=sys.stderr)

    def _wait(self) -> str:
        """Wait for the process to end. Says why it was ended before that, where it was."""
        if (child := self._child) is None or child.stdin is None:
            return ""
        child.stdin.close()  # there is no more to come
        first, since = _first(), time.monotonic()
        try:
            while child.poll() is None:
                if (now := _first()) != first:
                    first, since = now, time.monotonic()
                if time.monotonic() - since > (most := _seconds(first)):
                    return f"it took nothing for {most:.0f} seconds"
                time.sleep(POLL)
            return ""
        finally:
            child.kill()
            child.wait()


@contextmanager
def sender() -> Iterator[Sender]:
    """A sender, not started yet."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as noise:
        yield Sender(said, noise)


def _first() -> Path | None:
    return next(iter(spool.waiting()), None)


def _seconds(path: Path | None) -> float:
    """How long the entry at `path` may take."""
    try:
        entry = spool.read(path) if path else None
    except GlasshouseError:  # it was sent just now
        return PATIENCE
    return PATIENCE + (sum(file.size for file in entry.files) / SLOWEST if isinstance(entry, Exported) else 0.0)


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    return file.read(1 << 20).decode("utf-8", "replace").splitlines()
