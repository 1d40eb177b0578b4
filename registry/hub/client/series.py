"""A tree that is too much for one commit: several, of one pull request, which is merged when all of it is there."""

from __future__ import annotations

from registry.errors import CredentialsError, InputError, Refused, VerificationError
from registry.hub.client.account import Account
from registry.hub.client.commits import Commits
from registry.hub.client.files import RemoteFiles
from registry.hub.client.folder import Folder
from registry.hub.client.progress import Sending
from registry.hub.client.pulls import Pulls, ref
from registry.hub.client.refs import Refs

MAX_COMMITS = 1_000
"""Commits of one pull request: 2,000,000 files."""


class Series:
    """What makes main a folder by a series of commits."""

    def __init__(self, account: Account, refs: Refs, files: RemoteFiles, commits: Commits, pulls: Pulls) -> None:
        self._account = account
        self._refs = refs
        self._files = files
        self._commits = commits
        self._pulls = pulls

    def publish(self, repo: str, wanted: Folder, message: str, parent: str, sending: Sending) -> str:
        """Make main exactly `wanted`: several commits of one pull request, compared, then merged; main's new head.

        Main stays as it is until the merge. An interrupted request of ours for the same files is gone on with.
        Raises Refused where main is no longer `parent`, VerificationError where what was merged is not `wanted`.
        """
        title = f"{message} ({wanted.manifest.sha256[:16]})"
        number = self._own(repo, title, parent)
        there = ref(number)
        for _ in range(MAX_COMMITS):
            tip = self._refs.resolve(repo, there)
            left = wanted.commits(self._files.list(repo, tip), sending)
            if not left:
                break
            words = f"{message}: {len(left[0])} files, {len(left) - 1} commits to go"
            self._commits.make(repo, left[0], words, tip, there)
        if not wanted.is_at(self._files.list(repo, self._refs.resolve(repo, there))):
            raise VerificationError(
                f"pull request {number} of {repo} does not hold the files that were sent",
                mend="if there is a .gitignore among them, remove it, and publish again",
            )
        if self._refs.head(repo) != parent:
            raise Refused(
                f"{repo} has moved from {parent[:12]}", mend="look at what was committed there, and publish again"
            )
        if self._pulls.get(repo, number).status == "draft":
            self._pulls.set_status(repo, number, "open", "Every file is there.")
        self._pulls.merge(repo, number)
        made = self._refs.head(repo)
        if not wanted.is_at(self._files.list(repo, made)):
            raise VerificationError(
                f"{repo}@{made[:12]}, merged from pull request {number}, does not hold the files that were sent",
                mend="look at what was committed there, and publish again",
            )
        return made

    def _own(self, repo: str, title: str, parent: str) -> int:
        """The number of our unfinished request of that title upon `parent`; a new one where there is none.

        Another's of the same title is passed over: they could add to it until it is merged.
        """
        try:
            me: str | None = self._account.name()
        except (CredentialsError, InputError):
            me = None  # a token of a workflow may have no name: then nothing is gone on with
        for pull in self._pulls.list(repo):
            if (pull.title, pull.author) == (title, me) and pull.status in ("open", "draft"):
                if parent in self._refs.history(repo, pull.ref):
                    return pull.number
                self._pulls.set_status(
                    repo, pull.number, "closed", "The branch has moved since; another request follows."
                )
        return self._pulls.draft(repo, title, "Too many files for one commit; to be merged when all are here.")
