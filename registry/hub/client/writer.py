"""HubClient: publishing to a Hub.

Law of `publish`: the tree at the commit it returns is exactly the folder, whatever happened on the way, and publishing
the same folder again makes no second commit.
"""

from __future__ import annotations

import time
from pathlib import Path

from registry.digest import Progress
from registry.errors import Refused, Unavailable, VerificationError
from registry.hub.client.connection import named
from registry.hub.client.folder import Folder
from registry.hub.client.progress import Sending
from registry.hub.client.proposer import MAIN, HubProposer
from registry.hub.faults import asking
from registry.hub.reference import check_revision
from registry.hub.transfer import RemoteFile
from registry.manifest import Manifest

ATTEMPTS = 3


class HubClient(HubProposer):
    """All that we ask of a Hub."""

    def ensure_repo(self, repo: str, *, private: bool | None = None) -> None:
        """Make the repository if it is not there."""
        name, kind = named(repo)
        with asking(self.endpoint, repo):
            self._api.create_repo(name, repo_type=kind, private=private, exist_ok=True)

    def ensure_branch(self, repo: str, branch: str) -> str:
        """The head of `branch`, which is made at the first commit of main if it is not there."""
        name, kind = named(repo)
        check_revision(branch)
        standing = self.branches(repo).get(branch)
        if standing is not None:
            return standing
        start = self.history(repo)[-1]
        with asking(self.endpoint, f"{repo}@{branch}"):
            self._api.create_branch(name, branch=branch, revision=start, repo_type=kind, exist_ok=True)
        return self.head(repo, branch)

    def publish(
        self,
        repo: str,
        folder: Path,
        message: str,
        parent: str,
        *,
        manifest: Manifest | None = None,
        branch: str = MAIN,
        keep: tuple[str, ...] = (),
        progress: Progress | None = None,
    ) -> str:
        """Make the tree of `branch` exactly `folder`, in one commit upon `parent`; the commit.

        What is too much for one commit to main goes through a pull request, which is merged when all of it is there.
        manifest: of `folder`, where it is known already.  keep: paths that stay where they are there already.
        progress: is told the bytes of the folder, as they are sent, or found to be there.
        Where the head has that tree already, it is returned and nothing is done. After a broken connection the head is
        read before anything is tried again, so that a commit whose answer was lost is not made twice.
        Raises Refused where the head is neither `parent` nor that tree: somebody else has committed.
        """
        wanted = Folder(folder, manifest or Manifest.of_directory(folder), keep)
        sending = Sending(progress, wanted.manifest.size)
        lost: Unavailable | Refused | None = None
        for attempt in range(ATTEMPTS):
            time.sleep(attempt)
            head = self.head(repo, branch)
            standing = self.files(repo, head)
            if wanted.is_at(standing):
                sending.finish()
                return head
            if head != parent:
                raise Refused(
                    f"{repo} has moved from {parent[:12]} to {head[:12]}",
                    mend="look at what was committed there, and publish again",
                ) from lost
            try:
                made = self._send(repo, wanted, standing, message, parent, branch, sending)
            except (Unavailable, Refused) as problem:
                lost = problem  # whether it was done all the same is seen at the head
                continue
            if not wanted.is_at(self.files(repo, made)):
                raise VerificationError(
                    f"{repo}@{made[:12]} does not hold the files that were sent",
                    mend="if there is a .gitignore among them, remove it, and publish again",
                )
            sending.finish()
            return made
        raise Unavailable(f"{repo}: {lost}", mend="publish again: what has arrived is not sent twice") from lost

    def tag(self, repo: str, name: str, commit: str, message: str) -> None:
        """Tag `commit`, unless the tag stands there already. Raises Refused where it stands elsewhere."""
        repo_id, kind = named(repo)
        check_revision(name)
        lost: Unavailable | Refused | None = None
        for _ in range(ATTEMPTS):
            if name in self.tags(repo):
                standing = self.resolve(repo, name)
                if standing == commit:
                    return
                raise Refused(
                    f"{repo} has a tag {name} at {standing[:12]}", mend="a release never moves: cut the next version"
                )
            try:
                with asking(self.endpoint, repo):
                    self._api.create_tag(repo_id, tag=name, tag_message=message, revision=commit, repo_type=kind)
            except (Unavailable, Refused) as problem:
                lost = problem  # whether it is there is seen by looking
        raise Unavailable(f"{repo}: the tag {name} does not appear: {lost}", mend="publish again") from lost

    def _send(
        self,
        repo: str,
        wanted: Folder,
        standing: tuple[RemoteFile, ...],
        message: str,
        parent: str,
        branch: str,
        sending: Sending,
    ) -> str:
        """One commit; or where that would be too much for it, and it is main, a pull request of several."""
        commits = wanted.commits(standing, sending)
        if len(commits) > 1 and branch == MAIN:
            return self._publish_by_request(repo, wanted, message, parent, sending)
        return self._commit(repo, [change for part in commits for change in part], message, parent, branch)
