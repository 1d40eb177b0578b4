"""HubClient: publishing to a Hub.

Law of `publish`: the tree at the commit it returns is exactly the folder, whatever happened on the way, and publishing
the same folder again makes no second commit.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import Refused, Unavailable, VerificationError
from registry.hub.client.connection import commit_id, named
from registry.hub.client.reader import HubReader
from registry.hub.faults import asking
from registry.hub.reference import check_revision
from registry.hub.transfer import RemoteFile, is_folder
from registry.manifest import Manifest, check_path

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Folder:
    """What the tree of a branch is to be.

    keep: paths that are left as they are where they stand already, and are not in the folder.
    """

    root: Path
    manifest: Manifest
    keep: tuple[str, ...]

    def is_at(self, standing: tuple[RemoteFile, ...]) -> bool:
        """Whether a listing is of exactly this."""
        own = self.manifest.by_path()
        return is_folder([f for f in standing if f.path in own or f.path not in self.keep], self.root, self.manifest)

    def changes(self, standing: tuple[RemoteFile, ...]) -> list[CommitOperationAdd | CommitOperationDelete]:
        """What makes a tree of those files into this one."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[CommitOperationAdd | CommitOperationDelete] = []
        for entry in self.manifest.entries:
            operation = CommitOperationAdd(entry.path, self.root / entry.path)
            operation.upload_info.sha256 = bytes.fromhex(entry.sha256)  # measured already; the Hub measures again
            operations.append(operation)
        stays = {*self.manifest.by_path(), *self.keep}
        return operations + [CommitOperationDelete(f.path, is_folder=False) for f in standing if f.path not in stays]


class HubClient(HubReader):
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
        branch: str = "main",
        keep: tuple[str, ...] = (),
    ) -> str:
        """Make the tree of `branch` exactly `folder`, in one commit upon `parent`; the commit.

        manifest: of `folder`, where it is known already.  keep: paths that stay where they are there already.
        Where the head has that tree already, it is returned and nothing is done. After a broken connection the head is
        read before anything is tried again, so that a commit whose answer was lost is not made twice.
        Raises Refused where the head is neither `parent` nor that tree: somebody else has committed.
        """
        wanted = _Folder(folder, manifest or Manifest.of_directory(folder), keep)
        lost: Unavailable | Refused | None = None
        for attempt in range(ATTEMPTS):
            time.sleep(attempt)
            head = self.head(repo, branch)
            standing = self.files(repo, head)
            if wanted.is_at(standing):
                return head
            if head != parent:
                raise Refused(
                    f"{repo} has moved from {parent[:12]} to {head[:12]}",
                    mend="look at what was committed there, and publish again",
                ) from lost
            try:
                made = self._commit(repo, wanted.changes(standing), message, parent, branch)
            except (Unavailable, Refused) as problem:
                lost = problem  # whether it was done all the same is seen at the head
                continue
            if not wanted.is_at(self.files(repo, made)):
                raise VerificationError(
                    f"{repo}@{made[:12]} does not hold the files that were sent",
                    mend="if there is a .gitignore among them, remove it, and publish again",
                )
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

    def propose(self, repo: str, branch: str, files: Mapping[str, bytes], message: str) -> str:
        """A pull request that adds `files` to `branch`; its address. Reading rights are enough.

        Raises InputError for a path that is not allowed, or no such branch.
        """
        from huggingface_hub import CommitOperationAdd

        name, kind = named(repo)
        for path in files:
            check_path(path)
        parent = self.head(repo, branch)
        operations = [CommitOperationAdd(path, data) for path, data in files.items()]
        with asking(self.endpoint, repo), _quiet():
            made = self._api.create_commit(
                name,
                operations,
                commit_message=message,
                parent_commit=parent,
                revision=branch,
                repo_type=kind,
                create_pr=True,
            )
        if not made.pr_url:
            raise Unavailable(f"{self.endpoint} made no pull request", mend="check the endpoint")
        return str(made.pr_url)

    def merge(self, repo: str, number: int) -> None:
        """Merge a pull request. Raises Refused where it conflicts with what its branch has become, or is closed."""
        name, kind = named(repo)
        with asking(self.endpoint, f"pull request {number} of {repo}"):
            self._api.merge_pull_request(name, number, repo_type=kind)

    def _commit(
        self,
        repo: str,
        operations: list[CommitOperationAdd | CommitOperationDelete],
        message: str,
        parent: str,
        branch: str,
    ) -> str:
        """Upload what is large, then make the one commit."""
        name, kind = named(repo)
        with asking(self.endpoint, repo), _quiet():
            made = self._api.create_commit(
                name, operations, commit_message=message, parent_commit=parent, revision=branch, repo_type=kind
            )
            return commit_id(made.oid)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's warnings about parquet beside a model, and about what it calls itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*data file.*", category=UserWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield
