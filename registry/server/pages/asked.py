"""What a request for a page asks for: which repository, which release of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from registry.errors import GlasshouseError
from registry.server import names
from registry.server.names import MAIN
from registry.server.pages.expected import Expected
from registry.server.pages.index import IndexRow
from registry.server.pages.shelf import StoreShelf
from registry.server.pages.sites import Site
from registry.server.problems import REVISION_NOT_FOUND, Problem
from registry.server.routes import asking
from registry.server.store.repository import Repository


@dataclass(frozen=True, slots=True)
class AskedFor:
    """One repository at one revision."""

    repo: Repository
    """The repository."""
    revision: str
    """The revision: the one that was asked for, else the newest release, else main."""
    row: IndexRow
    """Its releases."""
    shelf: StoreShelf
    """Its release, should there be one."""

    @property
    def address(self) -> str:
        """The address of the repository's page, without a slash at the end."""
        return f"/{self.repo.name.url_path}"

    @property
    def tags(self) -> Mapping[str, str]:
        """{version: commit}, the newest first."""
        return self.row.tags

    def at(self, revision: str) -> StoreShelf:
        """Another revision of the same repository. Raises Problem 404 where there is none."""
        return _at(self.row, names.revision(revision))

    def release(self, site: Site) -> Expected:
        """The release. Raises Problem 404 where there is none that can be read."""
        try:
            return site.release(self.shelf)
        except GlasshouseError as problem:
            words = f"{self.repo.name} at {self.revision} is not a release that can be read: {problem.message}"
            raise Problem(404, words) from problem


def place(site: Site, request: Request) -> AskedFor:
    """What the request asks for. Raises Problem 404 for what is not there, or not theirs to read."""
    repo = asking.opened(request)
    row = site.index.row(repo)
    asked = request.path_params.get("revision")
    revision = names.revision(asked) if asked else newest(row)
    return AskedFor(repo, revision, row, _at(row, revision))


def newest(row: IndexRow) -> str:
    """The newest release that was not taken back; of what has none, the newest version, else main."""
    return row.released.tag if row.released is not None else next(iter(row.tags), MAIN)


def _at(row: IndexRow, revision: str) -> StoreShelf:
    return row.shelf(revision, row.tags.get(revision) or row.repo.resolve(revision))


def two(request: Request, tags: Sequence[str]) -> tuple[str, str]:
    """The revisions that are to be compared: by themselves, the two newest. Raises Problem 404 where there is one."""
    before, after = (request.query_params.get(key, "") for key in ("before", "after"))
    if not before and not after and len(tags) > 1:
        after, before = tags[:2]
    if not before or not after:
        raise Problem(404, "two releases are compared: ?before=v1.0.0&after=v1.1.0", REVISION_NOT_FOUND)
    return names.revision(before), names.revision(after)
