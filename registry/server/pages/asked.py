"""What a request for a page asks for: which repository, which release of it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from registry.errors import GlasshouseError
from registry.server import names
from registry.server.names import MAIN
from registry.server.pages.expected import Expected
from registry.server.pages.index import refs_of
from registry.server.pages.shelf import StoreShelf, shelf_of
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
    heads: dict[str, str]
    """{branch: commit}."""
    tags: dict[str, str]
    """{version: commit}, the newest first."""
    shelf: StoreShelf
    """Its release, should there be one."""

    @property
    def address(self) -> str:
        """The address of the repository's page, without a slash at the end."""
        return f"/{self.repo.name.url_path}"

    def at(self, site: Site, revision: str) -> StoreShelf:
        """Another revision of the same repository. Raises Problem 404 where there is none."""
        commit = self.repo.resolve(names.revision(revision))
        return shelf_of(self.repo, site.hub.large_of(self.repo), revision, commit, self.heads)

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
    heads, tags = refs_of(repo)
    asked = request.path_params.get("revision")
    revision = names.revision(asked) if asked else newest(site, repo, tags)
    commit = tags.get(revision) or repo.resolve(revision)
    large = site.hub.large_of(repo)
    return AskedFor(repo, revision, heads, tags, shelf_of(repo, large, revision, commit, heads))


def newest(site: Site, repo: Repository, tags: dict[str, str]) -> str:
    """The newest release that was not taken back; of what has none, the newest version, else main."""
    row = site.index.row(repo)
    if row.released is not None and row.released.tag in tags:
        return row.released.tag
    return next(iter(tags), MAIN)


def two(request: Request, tags: list[str]) -> tuple[str, str]:
    """The revisions that are to be compared: by themselves, the two newest. Raises Problem 404 where there is one."""
    before, after = (request.query_params.get(key, "") for key in ("before", "after"))
    if not before and not after and len(tags) > 1:
        after, before = tags[:2]
    if not before or not after:
        raise Problem(404, "two releases are compared: ?before=v1.0.0&after=v1.1.0", REVISION_NOT_FOUND)
    return names.revision(before), names.revision(after)
