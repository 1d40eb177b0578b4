"""Pull requests: what others propose, read, opened, closed and merged."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from registry.hub.client.commits import Commits
from registry.hub.client.connection import Connection, named
from registry.hub.client.refs import Refs
from registry.manifest import check_path


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A change that somebody proposes."""

    number: int
    """Counted by the Hub, for each repository."""
    title: str
    """One line."""
    author: str
    """As the Hub names them; proves nothing."""
    status: str
    """`draft`, `open`, `closed` or `merged`."""
    branch: str | None = None
    """Where it would go."""
    diff: str = ""
    """As git writes it; empty where it was not asked for."""

    @property
    def ref(self) -> str:
        """The revision of its commits."""
        return ref(self.number)


def ref(number: int) -> str:
    """The revision of the commits of a pull request."""
    return f"refs/pr/{number}"


class Pulls:
    """The pull requests of a Hub's repositories."""

    def __init__(self, connection: Connection, refs: Refs, commits: Commits) -> None:
        self._hub = connection
        self._refs = refs
        self._commits = commits

    def list(self, repo: str) -> tuple[PullRequest, ...]:
        """Every pull request of `repo`, newest first, without their diffs."""
        name, kind = named(repo)
        with self._hub.reading(repo):
            found = self._hub.api.get_repo_discussions(name, repo_type=kind, discussion_type="pull_request")
            return tuple(_typed(PullRequest(pull.num, pull.title, pull.author, pull.status)) for pull in found)

    def get(self, repo: str, number: int) -> PullRequest:
        """One pull request, with its branch and its diff."""
        name, kind = named(repo)
        with self._hub.reading(f"pull request {number} of {repo}"):
            found = self._hub.api.get_discussion_details(name, number, repo_type=kind)
            branch = (found.target_branch or "").removeprefix("refs/heads/")
            return _typed(PullRequest(found.num, found.title, found.author, found.status, branch, found.diff or ""))

    def url(self, repo: str, number: int) -> str:
        """Where people read a pull request."""
        return f"{self._hub.endpoint}/{repo}/discussions/{number}"

    def propose(self, repo: str, branch: str, files: Mapping[str, bytes], message: str) -> str:
        """A pull request that adds `files` to `branch`; its address. Reading rights are enough.

        Raises InputError for a path that is not allowed, or no such branch.
        """
        from huggingface_hub import CommitOperationAdd

        for path in files:
            check_path(path)
        operations = [CommitOperationAdd(path, data) for path, data in files.items()]
        return self._commits.propose(repo, operations, message, self._refs.head(repo, branch), branch)

    def draft(self, repo: str, title: str, why: str) -> int:
        """A new pull request to main, without changes yet; its number."""
        name, kind = named(repo)
        with self._hub.asking(repo):
            return int(self._hub.api.create_pull_request(name, title, description=why, repo_type=kind).num)

    def merge(self, repo: str, number: int) -> None:
        """Merge a pull request. Raises Refused where it conflicts with what its branch has become, or is closed."""
        name, kind = named(repo)
        with self._about(repo, number):
            self._hub.api.merge_pull_request(name, number, repo_type=kind)

    def set_status(self, repo: str, number: int, status: Literal["open", "closed"], why: str) -> None:
        """Open a pull request, or close it, and say why."""
        name, kind = named(repo)
        with self._about(repo, number):
            self._hub.api.change_discussion_status(name, number, status, comment=why, repo_type=kind)

    def _about(self, repo: str, number: int) -> AbstractContextManager[None]:
        return self._hub.asking(f"pull request {number} of {repo}")


def _typed(pull: PullRequest) -> PullRequest:
    """The same. Raises TypeError where its fields are not of their types."""
    texts = (pull.title, pull.author, pull.status, pull.branch or "", pull.diff)
    if type(pull.number) is not int or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"it shows {pull!r:.200}")
    return pull
