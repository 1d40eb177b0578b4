"""Send to MLflow what stages recorded and could not send: `python -m pipelines.tracking`.

A stage runs it with `--follow`: it then sends what comes, too, until its standard input is closed, and tries again
where MLflow does not answer.
"""

from __future__ import annotations

import select
import sys

from pipelines import stage
from pipelines.tracking import spool
from pipelines.tracking.store import Declined, Store
from registry.errors import GlasshouseError, Malformed, Unavailable

SOON, LATE = 1.0, 300.0
"""Seconds between two looks, and the most between two tries where MLflow does not answer."""


class Outbox:
    """Sends what waits."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self.sent = 0
        """How many entries were sent."""
        self.left_out: list[str] = []
        """What MLflow did not take, and never will: these entries are gone."""

    def send(self) -> None:
        """Send all that waits. Raises Unavailable where MLflow does not answer, and then what is left still waits."""
        with spool.alone():
            for path in spool.waiting():
                self._store = self._store or Store()
                try:
                    self._store.tell(spool.read(path))
                    self.sent += 1
                except (Declined, Malformed) as problem:
                    self.left_out.append(problem.message)
                path.unlink()

    def watch(self) -> None:
        """Have the machine measured for the training that goes on. Raises Unavailable where MLflow does not answer."""
        if self._store is not None:
            self._store.watch()


def main() -> None:
    """Send once, or follow a stage."""
    if sys.argv[1:] == ["--follow"]:
        sys.exit(follow(Outbox()))
    outbox = Outbox()
    try:
        outbox.send()
    finally:
        print(f"sent to MLflow: {outbox.sent}; left to send: {len(spool.waiting())}")
        for words in outbox.left_out:
            print(f"left out: {words}")


def follow(outbox: Outbox) -> int:
    """Send what comes until standard input is closed, and then the rest; each thing that is amiss is a line."""
    pause, ends, failed = 0.0, False, ""
    while not ends:
        ends = bool(select.select([sys.stdin], [], [], pause)[0])
        try:
            outbox.send()
            if not ends:
                outbox.watch()
            pause, failed = SOON, ""
        except GlasshouseError as problem:
            pause, failed = min(max(pause, SOON) * 2, LATE), f"{problem.message} (to mend it: {problem.mend})"
    for words in [*outbox.left_out, failed]:
        if words:
            print(words, flush=True)
    return Unavailable.exit_code if failed else 0


if __name__ == "__main__":
    stage.run(main)
