"""Pull requests: a file that somebody proposes, and a tree that is too large for one commit."""

from __future__ import annotations

from collections.abc import Mapping

from registry.errors import CredentialsError, InputError, Refused, VerificationError
from registry.hub.client.connection import named
from registry.hub.client.folder import Folder
from registry.hub.client.progress import Sending
from registry.hub.client.sender import HubSender
from registry.hub.faults import asking
from registry.manifest import check_path

MAIN = "main"
MAX_COMMITS = 1_000
"""Of one pull request: 2,000,000 files."""


class HubProposer(HubSender):
    """The calls that change something by way of a pull request."""

    def propose(self, repo: str, branch: str, files: Mapping[str, bytes], message: str) -> str:
        """A pull request that adds `files` to `branch`; its address. Reading rights are enough.

        Raises InputError for a path that is not allowed, or no such branch.
        """
        from huggingface_hub import CommitOperationAdd

        for path in files:
            check_path(path)
        operations = [CommitOperationAdd(path, data) for path, data in files.items()]
        return self._commit_as_request(repo, operations, message, branch)

    def merge(self, repo: str, number: int) -> None:
        """Merge a pull request. Raises Refused where it conflicts with what its branch has become, or is closed."""
        name, kind = named(repo)
        with asking(self.endpoint, f"pull request {number} of {repo}"):
            self._api.merge_pull_request(name, number, repo_type=kind)

    def set_status(self, repo: str, number: int, status: str, why: str) -> None:
        """Make a pull request `open`, or `closed`, and say why."""
        name, kind = named(repo)
        with asking(self.endpoint, f"pull request {number} of {repo}"):
            self._api.change_discussion_status(name, number, status, comment=why, repo_type=kind)  # type: ignore[arg-type]

    def _publish_by_request(self, repo: str, wanted: Folder, message: str, parent: str, sending: Sending) -> str:
        """Make main exactly `wanted`: several commits of one pull request, compared, then merged; main's new head.

        Main stays as it is until the merge. An interrupted request of ours for the same files is gone on with.
        Raises Refused where main is no longer `parent`, VerificationError where what was merged is not `wanted`.
        """
        title = f"{message} ({wanted.manifest.sha256[:16]})"
        number = self._own_request(repo, title, parent)
        ref = f"refs/pr/{number}"
        for _ in range(MAX_COMMITS):
            tip = self.resolve(repo, ref)
            left = wanted.commits(self.files(repo, tip), sending)
            if not left:
                break
            self._commit(repo, left[0], f"{message}: {len(left[0])} files, {len(left) - 1} commits to go", tip, ref)
        if not wanted.is_at(self.files(repo, self.resolve(repo, ref))):
            raise VerificationError(
                f"pull request {number} of {repo} does not hold the files that were sent",
                mend="if there is a .gitignore among them, remove it, and publish again",
            )
        if self.head(repo) != parent:
            raise Refused(
                f"{repo} has moved from {parent[:12]}", mend="look at what was committed there, and publish again"
            )
        if self.pull(repo, number).status == "draft":
            self.set_status(repo, number, "open", "Every file is there.")
        self.merge(repo, number)
        made = self.head(repo)
        if not wanted.is_at(self.files(repo, made)):
            raise VerificationError(
                f"{repo}@{made[:12]}, merged from pull request {number}, does not hold the files that were sent",
                mend="look at what was committed there, and publish again",
            )
        return made

    def _own_request(self, repo: str, title: str, parent: str) -> int:
        """The number of our unfinished request of that title upon `parent`; a new one where there is none.

        Another's of the same title is passed over: they could add to it until it is merged.
        """
        try:
            me: str | None = self.whoami()
        except (CredentialsError, InputError):
            me = None  # a token of a workflow may have no name: then nothing is gone on with
        for pull in self.pulls(repo):
            if (pull.title, pull.author) == (title, me) and pull.status in ("open", "draft"):
                if parent in self.history(repo, f"refs/pr/{pull.number}"):
                    return pull.number
                self.set_status(repo, pull.number, "closed", "The branch has moved since; another request follows.")
        name, kind = named(repo)
        with asking(self.endpoint, repo):
            made = self._api.create_pull_request(
                name,
                title,
                description="Too many files for one commit; to be merged when all are here.",
                repo_type=kind,
            )
        return int(made.num)
