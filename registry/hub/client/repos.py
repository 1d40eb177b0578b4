"""Whether a repository is there, and making it."""

from __future__ import annotations

from registry.hub.client.connection import Connection, named


class Repos:
    """The repositories of a Hub."""

    def __init__(self, connection: Connection) -> None:
        self._hub = connection

    def exists(self, repo: str) -> bool:
        """Whether the repository is there, and this user may see it."""
        name, kind = named(repo)
        with self._hub.reading(repo):
            return self._hub.api.repo_exists(name, repo_type=kind)

    def ensure(self, repo: str, *, private: bool | None = None) -> None:
        """Make the repository if it is not there."""
        name, kind = named(repo)
        with self._hub.asking(repo):
            self._hub.api.create_repo(name, repo_type=kind, private=private, exist_ok=True)
