"""How many bytes a namespace may hold: in its repositories, and in what its owner has proposed to those of others."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.server.locks import locked
from registry.server.names import KINDS
from registry.server.problems import Problem
from registry.server.store.ledger import Ledger, usage
from registry.server.store.places import BOOKED, REPOSITORIES

_SPENDING = "spending-"
"""How the names of those files begin that stand for bytes about to be spent: then how many, and a number. Who spends
them holds its lock."""


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota of each namespace of one server."""

    root: Path
    """The server's folder."""
    limit: int | None
    """Bytes of a namespace; None for no end but the disk's."""

    @property
    def free(self) -> int:
        """Bytes that the disk has room for."""
        return shutil.disk_usage(self.root).free

    def booked(self, owner: str) -> Ledger:
        """What `owner` has proposed to the repositories of others, who have not taken it yet."""
        return Ledger(self.root / BOOKED / owner)

    def check(self, owner: str, more: int, *, coming: int = 0) -> None:
        """Raise Problem 403 where `more` bytes would take a namespace beyond its quota, or have no room on the disk.

        coming: bytes of others that are on their way to it.
        """
        if more > self.free:
            raise Problem(403, f"the server's disk has no room for {more} bytes more")
        if self.limit is None or more == 0:
            return
        used = sum(usage(self.root / REPOSITORIES / kind / owner) for kind in KINDS)
        used += sum(self.booked(owner).read().values()) + coming
        if used + more > self.limit:
            raise Problem(403, f"{owner} has {used} of its {self.limit} bytes, and {more} more do not fit")

    @contextmanager
    def spending(self, owner: str, more: int) -> Iterator[None]:
        """Around what makes a namespace `more` bytes larger, and enters them in its ledger.

        Meanwhile they count for all others, so that two together do not exceed it, and neither waits for the other.
        Raises Problem 403 as `check`.
        """
        if self.limit is None or more == 0:
            self.check(owner, more)
            yield
            return
        with self.alone(owner) as folder:
            self.check(owner, more + _under_way(folder))
            mine = folder / f"{_SPENDING}{more}-{secrets.token_hex(8)}"
            held = os.open(mine, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield
        finally:
            mine.unlink(missing_ok=True)
            os.close(held)

    @contextmanager
    def alone(self, owner: str) -> Iterator[Path]:
        """Around what changes the books of `owner`, whose folder it is: one at a time."""
        folder = self.root / BOOKED / owner
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "lock"):
            yield folder


def _under_way(folder: Path) -> int:
    """Bytes that are being spent, by those that still run; what others left is swept away."""
    total = 0
    for path in folder.glob(f"{_SPENDING}*"):
        try:
            with locked(path, seconds=0, made=False):
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except TimeoutError:
            total += int(path.name.split("-")[1])
    return total
