"""All the pages of one server: what they share."""

from __future__ import annotations

from dataclasses import dataclass

from registry.server.pages import expected
from registry.server.pages.checking import Checker, KeptReport
from registry.server.pages.expected import Expected
from registry.server.pages.index import IndexRow, ListIndex
from registry.server.pages.shelf import StoreShelf
from registry.server.state import Hub


@dataclass(frozen=True, slots=True)
class Site:
    """The pages of a server, in one process."""

    hub: Hub
    """The server."""
    index: ListIndex
    """What its lists say."""
    checker: Checker
    """What it verifies."""

    @classmethod
    def of(cls, hub: Hub) -> Site:
        """The pages of that server."""
        return cls(hub, ListIndex(hub.root, hub.large), Checker(hub.root))

    def release(self, shelf: StoreShelf) -> Expected:
        """The release on the shelf. Raises GlasshouseError where there is no release statement that can be read."""
        return expected.read(self.hub.root, shelf)

    def report(self, row: IndexRow) -> KeptReport | None:
        """What this server found of the newest release of `row`, where that is still all that is known."""
        found = self.checker.report(row.released.shelf) if row.released else None
        return found if row.released and found and found.key == row.released.key else None
