"""What a Hub has, and fetching it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from registry.digest import Progress
from registry.errors import InputError
from registry.hub import transfer
from registry.hub.client.connection import Connection, commit_id, named
from registry.hub.faults import asking
from registry.hub.reference import check_revision
from registry.hub.transfer import Limits, RemoteFile
from registry.manifest import Difference, Entry, Manifest, compare

MAX_HISTORY = 10_000
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A change that somebody proposes.

    number: counted by the Hub, for each repository.  author: as the Hub names them; proves nothing.
    status: draft, open, closed or merged.  branch: where it would go.  diff: as git writes it; "" where not asked for.
    """

    number: int
    title: str
    author: str
    status: str
    branch: str | None = None
    diff: str = ""


class HubReader(Connection):
    """The calls that change nothing."""

    # 1. Looking

    def resolve(self, repo: str, revision: str) -> str:
        """The commit (40 hex characters) that a branch, a tag or a commit of `repo` stands for now."""
        name, kind = named(repo)
        check_revision(revision)
        with asking(self.endpoint, f"{repo}@{revision}"):
            return commit_id(self._api.repo_info(name, repo_type=kind, revision=revision).sha)

    def whoami(self) -> str:
        """The name of the user whose token this is. Raises CredentialsError without one."""
        with asking(self.endpoint, "your account"):
            return str(self._api.whoami()["name"])

    def branches(self, repo: str) -> dict[str, str]:
        """{branch: commit at its tip}."""
        return self._refs(repo, "branches")

    def tags(self, repo: str) -> dict[str, str]:
        """{tag: commit}; empty for a repository that is not there (yet)."""
        return self._refs(repo, "tags") if self.exists(repo) else {}

    def exists(self, repo: str) -> bool:
        """Whether the repository is there, and this user may see it."""
        name, kind = named(repo)
        with asking(self.endpoint, repo):
            return self._api.repo_exists(name, repo_type=kind)

    def head(self, repo: str, branch: str = "main") -> str:
        """The commit at the tip of `branch`."""
        branches = self.branches(repo)
        if branch not in branches:
            raise InputError(
                f"{repo} has no branch {branch[:200]!r}", mend=f"one of: {', '.join(sorted(branches)[:20])}"
            )
        return branches[branch]

    def history(self, repo: str, revision: str = "main") -> tuple[str, ...]:
        """The commits that led to `revision`, newest first."""
        name, kind = named(repo)
        check_revision(revision)
        with asking(self.endpoint, f"{repo}@{revision}"):
            found = self._api.list_repo_commits(name, repo_type=kind, revision=revision)
            return tuple(commit_id(commit.commit_id) for commit in found[:MAX_HISTORY])

    def files(self, repo: str, commit: str, limits: Limits = Limits()) -> tuple[RemoteFile, ...]:  # noqa: B008
        """What `repo` lists at `commit`, sorted by path. Raises InputError beyond `limits`, as soon as they are met."""
        name, kind = named(repo)
        found: list[RemoteFile] = []
        with asking(self.endpoint, f"{repo}@{commit}"):
            for item in self._api.list_repo_tree(name, recursive=True, revision=commit, repo_type=kind):
                if hasattr(item, "tree_id"):
                    continue  # a folder
                sha256 = item.lfs.sha256 if item.lfs is not None else None
                found.append(RemoteFile(item.path, item.size, sha256, item.blob_id))
                if len(found) > limits.files:
                    break
        transfer.check_listing(found, limits)
        return tuple(sorted(found, key=lambda file: file.path))

    def pulls(self, repo: str) -> tuple[PullRequest, ...]:
        """Every pull request of `repo`, newest first, without their diffs."""
        name, kind = named(repo)
        with asking(self.endpoint, repo):
            found = self._api.get_repo_discussions(name, repo_type=kind, discussion_type="pull_request")
            return tuple(PullRequest(pull.num, pull.title, pull.author, pull.status) for pull in found)

    def pull(self, repo: str, number: int) -> PullRequest:
        """One pull request, with its branch and its diff."""
        name, kind = named(repo)
        with asking(self.endpoint, f"pull request {number} of {repo}"):
            found = self._api.get_discussion_details(name, number, repo_type=kind)
        branch = (found.target_branch or "").removeprefix("refs/heads/")
        return PullRequest(found.num, found.title, found.author, found.status, branch, found.diff or "")

    def pull_url(self, repo: str, number: int) -> str:
        """Where people read a pull request."""
        return f"{self.endpoint}/{repo}/discussions/{number}"

    # 2. Fetching and comparing

    def read(self, repo: str, commit: str, path: str, *, max_bytes: int) -> bytes:
        """The bytes of one file at `commit`. Raises InputError beyond `max_bytes`."""
        data = self.read_range(repo, commit, path, start=0, count=max_bytes + 1)
        if len(data) > max_bytes:
            raise InputError(f"{path} has more than {max_bytes} bytes", mend=f"look at {path} in {repo}@{commit}")
        return data

    def read_range(self, repo: str, commit: str, path: str, *, start: int, count: int) -> bytes:
        """At most `count` bytes of one file from byte `start` on; fewer where it ends before. No more are fetched."""
        data = bytearray()
        with self._stream(repo, commit, path, start, count) as (begins, chunks):
            skip = start - begins  # a server that knows no ranges begins at 0
            for chunk in chunks:
                data += chunk
                if len(data) >= skip + count:
                    break
        return bytes(data[skip : skip + count])

    def download(
        self,
        repo: str,
        commit: str,
        folder: Path,
        progress: Progress | None = None,
        limits: Limits = Limits(),  # noqa: B008
        accept: Callable[[Path], object] | None = None,
    ) -> Manifest:
        """Fetch all of `repo` at `commit` into `folder`, which appears when everything has come, and `accept` raised
        nothing for it.

        The manifest is of the bytes that came. That they are the signed ones is for the caller to check: a Hub's own
        listing proves nothing. Raises as `transfer.check_listing` and `transfer.download` do.
        """
        files = self.files(repo, commit, limits)
        return transfer.download(partial(self._stream, repo, commit), files, folder, progress, accept)

    def measure(
        self,
        repo: str,
        commit: str,
        progress: Progress | None = None,
        limits: Limits = Limits(),  # noqa: B008
    ) -> Manifest:
        """The bytes of all of `repo` at `commit`, hashed as they come, and not kept. Raises as `download` does."""
        source = partial(self._stream, repo, commit)
        receive = progress or (lambda count: None)
        files = list(self.files(repo, commit, limits))
        return Manifest(tuple(in_parallel(lambda f: transfer.read(source, f, lambda data: receive(len(data))), files)))

    def verify_remote(self, repo: str, commit: str, manifest: Manifest, keep: tuple[str, ...] = ()) -> Difference:
        """Where the Hub's own checksums at `commit` depart from `manifest`; paths in `keep` may be there besides.

        Large files are compared by the SHA-256 the Hub lists; those that stand in git (a few MiB at most) are fetched
        and hashed, for a Hub lists only their SHA-1. What the Hub would really send of a large file is not looked at:
        that is `download`.
        """
        want = manifest.by_path()
        source = partial(self._stream, repo, commit)

        def entry(file: RemoteFile) -> Entry:
            if file.sha256 is not None:
                return Entry(file.path, file.size, file.sha256)
            if file.path not in want or want[file.path].size != file.size:
                return Entry(file.path, file.size, "0" * 64)  # it differs already, whatever its bytes are
            return transfer.read(source, file, lambda chunk: None)

        listed = [file for file in self.files(repo, commit) if file.path in want or file.path not in keep]
        return compare(manifest, Manifest(tuple(in_parallel(entry, listed))))

    def _refs(self, repo: str, kind_of_ref: str) -> dict[str, str]:
        name, kind = named(repo)
        with asking(self.endpoint, repo):
            found = getattr(self._api.list_repo_refs(name, repo_type=kind), kind_of_ref)
            return {ref.name: commit_id(ref.target_commit) for ref in found}


def in_parallel(work: Callable[[Given], Made], items: list[Given]) -> list[Made]:
    """`work` of each of `items`, in their order, a few at a time: as many as one user should ask of a Hub at once."""
    with ThreadPoolExecutor(transfer.WORKERS) as pool:
        return list(pool.map(work, items))
