"""All the pages of one server: what they share."""

from __future__ import annotations

from asyncio import Semaphore
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Any

from registry.errors import GlasshouseError
from registry.server.access import passwords
from registry.server.access.passwords import Attempts
from registry.server.names import KINDS
from registry.server.pages import expected
from registry.server.pages.checking import Checker, KeptReport
from registry.server.pages.expected import Expected
from registry.server.pages.index import IndexRow, ListIndex
from registry.server.pages.shelf import StoreShelf
from registry.server.problems import Problem
from registry.server.state import Hub
from registry.server.store import git
from registry.server.store.index import Wanted

AT_ONCE = 2
"""Pages that take long which are made at once, so that others are still answered."""
PATIENCE = 20.0
"""Seconds that one more waits for its turn."""
MAX_SIGNED = 50_000
"""Releases whose signers are kept: a release never changes."""


@dataclass(frozen=True, slots=True)
class SignedTag:
    """Who signed one release."""

    tag: str
    """Its tag."""
    signer: str | None
    """The signer's name; None where the signature does not hold, or nobody can tell."""
    date: str
    """When, as far as that is shown."""

    def as_json(self) -> dict[str, Any]:
        """The form that the JSON of a page has."""
        return {"tag": self.tag, "signer": self.signer, "date": self.date}


@dataclass(frozen=True, slots=True)
class Site:
    """The pages of a server, in one process."""

    hub: Hub
    """The server."""
    index: ListIndex
    """What its lists say."""
    checker: Checker
    """What it verifies."""
    attempts: Attempts = field(default_factory=Attempts)
    """How often somebody may try to sign in."""
    signing: Semaphore = field(default_factory=lambda: Semaphore(passwords.AT_ONCE))
    """The passwords that are looked at, at once."""
    _signed: OrderedDict[tuple[object, ...], SignedTag] = field(default_factory=OrderedDict)
    _turns: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(AT_ONCE))

    @classmethod
    def of(cls, hub: Hub) -> Site:
        """The pages of that server."""
        return cls(hub, ListIndex(hub.root, hub.large_of), Checker(hub.root))

    def make(self) -> None:
        """Read what the lists say of all repositories, before anybody asks."""
        self.hub.index.make()
        for kind in KINDS:
            for seen in self.hub.index.find(Wanted(kind)):
                with suppress(Problem, git.GitFailed, OSError):
                    _ = self.index.row(seen.repository).released

    def release(self, shelf: StoreShelf) -> Expected:
        """The release on the shelf. Raises GlasshouseError where there is no release statement that can be read."""
        return expected.read(self.hub.root, shelf)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Within: what records can make long. Raises Problem 429 where others take too long."""
        if not self._turns.acquire(timeout=PATIENCE):
            raise Problem(429, "others are served first: try again later", headers={"Retry-After": "20"})
        try:
            yield
        finally:
            self._turns.release()

    def report(self, row: IndexRow) -> KeptReport | None:
        """What this server found of the newest release of `row`, where that is still all that is known."""
        found = self.checker.report(row.released.shelf) if row.released else None
        return found if row.released and found and found.key == row.released.key else None

    def signed(self, row: IndexRow, most: int) -> tuple[list[SignedTag], int]:
        """Who signed each release of a repository, of which at most `most` are read; and how many may be read yet."""
        found = []
        for tag, commit in row.tags.items():
            key = (row.repo.folder, tag, commit, expected.stamp(self.hub.root, row.name.owner))
            if key not in self._signed:
                if most < 1:
                    break
                most -= 1
                self._signed[key] = self._signer(row, tag, commit)
                while len(self._signed) > MAX_SIGNED:
                    self._signed.popitem(last=False)
            found.append(self._signed[key])
        return found, most

    def _signer(self, row: IndexRow, tag: str, commit: str) -> SignedTag:
        try:
            known = self.release(StoreShelf(row.repo, tag, commit, row.large))
        except GlasshouseError:
            return SignedTag(tag, None, "")
        at = known.entry.signature.at
        return SignedTag(tag, known.signer.name if known.signer else None, at.isoformat() if at else "")
