"""How many bytes a namespace may hold."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.server.locks import locked
from registry.server.names import KINDS
from registry.server.problems import Problem
from registry.server.store.ledger import usage
from registry.server.store.places import QUOTA_LOCK, REPOSITORIES


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

    def check(self, owner: str, more: int) -> None:
        """Raise Problem 403 where `more` bytes would take a namespace beyond its quota, or have no room on the disk."""
        if more > self.free:
            raise Problem(403, f"the server's disk has no room for {more} bytes more")
        if self.limit is None or more == 0:
            return
        used = sum(usage(self.root / REPOSITORIES / kind / owner) for kind in KINDS)
        if used + more > self.limit:
            raise Problem(403, f"{owner} has {used} of its {self.limit} bytes, and {more} more do not fit")

    @contextmanager
    def spending(self, owner: str, more: int) -> Iterator[None]:
        """Around what makes a namespace `more` bytes larger, and enters them in its ledger.

        One at a time, where there is a quota, so that two together do not exceed it. Raises Problem 403 as `check`.
        """
        if self.limit is None:
            yield
            return
        with locked(self.root / QUOTA_LOCK):
            self.check(owner, more)
            yield
