"""The one door to huggingface_hub: what a release needs of a Hub, in a few calls, with our own errors.

A repository is `owner/name`, or `datasets/owner/name`. The library is imported at the first call (350 ms).

Law of `publish`: the tree at the commit it returns is exactly the folder, whatever happened on the way, and publishing
the same folder again makes no second commit.
"""

from __future__ import annotations

import os
import re
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry.digest import CHUNK, Progress
from registry.errors import InputError, Refused, Unavailable, VerificationError
from registry.hub import transfer
from registry.hub.faults import asking, reaching
from registry.hub.reference import DATASETS, check_repository, check_revision
from registry.hub.transfer import Limits, RemoteFile, is_folder
from registry.manifest import Difference, Entry, Manifest, compare

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUBLIC_HUB = "https://huggingface.co"
CONNECT_SECONDS = 10.0
READ_SECONDS = 300.0
"""A commit of many files is answered when all of it is done."""
ATTEMPTS = 3
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubClient:
    """A Hub, as one user.

    endpoint: its address; None takes HF_ENDPOINT, or the public Hub.
    token: None takes the one that `hf auth login` or HF_TOKEN left, but only where the endpoint is the user's own
    choice (the public Hub or HF_ENDPOINT): a stored token is never sent to another server.

    Every call raises InputError for what is not there, CredentialsError where a token is needed, and Unavailable where
    the Hub does not answer; `faults.py` has the whole list.
    """

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        ambient = (os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")
        self.endpoint = (endpoint or ambient).rstrip("/")
        own = self.endpoint in (PUBLIC_HUB, ambient)
        self._token: str | bool | None = token if token is not None else (None if own else False)
        if not self.endpoint.startswith(("https://", "http://")):
            raise InputError(f"{self.endpoint!r} is no address of a Hub", mend="give https://HOST as the endpoint")

    @cached_property
    def _api(self) -> HfApi:
        return _library(self.endpoint, self._token)

    # 1. Looking

    def resolve(self, repo: str, revision: str) -> str:
        """The commit (40 hex characters) that a branch, a tag or a commit of `repo` stands for now."""
        name, kind = _named(repo)
        check_revision(revision)
        with asking(self.endpoint, f"{repo}@{revision}"):
            return _commit(self._api.repo_info(name, repo_type=kind, revision=revision).sha)

    def head(self, repo: str, branch: str = "main") -> str:
        """The commit at the tip of `branch`."""
        name, kind = _named(repo)
        with asking(self.endpoint, repo):
            branches = {ref.name: ref.target_commit for ref in self._api.list_repo_refs(name, repo_type=kind).branches}
        if branch not in branches:
            raise InputError(
                f"{repo} has no branch {branch[:200]!r}", mend=f"one of: {', '.join(sorted(branches)[:20])}"
            )
        return _commit(branches[branch])

    def tags(self, repo: str) -> dict[str, str]:
        """{tag: commit}; empty for a repository that is not there (yet)."""
        name, kind = _named(repo)
        with asking(self.endpoint, repo):
            if not self._api.repo_exists(name, repo_type=kind):
                return {}
            found = self._api.list_repo_refs(name, repo_type=kind).tags
            return {ref.name: _commit(ref.target_commit) for ref in found}

    def files(self, repo: str, commit: str, limits: Limits = Limits()) -> tuple[RemoteFile, ...]:  # noqa: B008
        """What `repo` lists at `commit`, sorted by path. Raises InputError beyond `limits`, as soon as they are met."""
        name, kind = _named(repo)
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

    def read(self, repo: str, commit: str, path: str, *, max_bytes: int) -> bytes:
        """The bytes of one file at `commit`. Raises InputError beyond `max_bytes`."""
        data = bytearray()
        with self._stream(repo, commit, path, 0) as (_, chunks):
            for chunk in chunks:
                data += chunk
                if len(data) > max_bytes:
                    raise InputError(
                        f"{path} has more than {max_bytes} bytes", mend=f"look at {path} in {repo}@{commit}"
                    )
        return bytes(data)

    # 2. Fetching and comparing

    def download(
        self,
        repo: str,
        commit: str,
        folder: Path,
        progress: Progress | None = None,
        limits: Limits = Limits(),  # noqa: B008
    ) -> Manifest:
        """Fetch all of `repo` at `commit` into `folder`, which appears when everything has come.

        The manifest is of the bytes that came. That they are the signed ones is for the caller to check: a Hub's own
        listing proves nothing. Raises as `transfer.check_listing` and `transfer.download` do.
        """
        files = self.files(repo, commit, limits)
        return transfer.download(partial(self._stream, repo, commit), files, folder, progress)

    def verify_remote(self, repo: str, commit: str, manifest: Manifest) -> Difference:
        """Where the Hub's own checksums at `commit` depart from `manifest`.

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

        with ThreadPoolExecutor(transfer.WORKERS) as pool:
            found = Manifest(tuple(pool.map(entry, self.files(repo, commit))))
        return compare(manifest, found)

    # 3. Publishing

    def ensure_repo(self, repo: str) -> None:
        """Make the repository if it is not there."""
        name, kind = _named(repo)
        with asking(self.endpoint, repo):
            self._api.create_repo(name, repo_type=kind, exist_ok=True)

    def publish(
        self,
        repo: str,
        folder: Path,
        message: str,
        parent: str,
        *,
        manifest: Manifest | None = None,
        branch: str = "main",
    ) -> str:
        """Make the tree of `branch` exactly `folder`, in one commit upon `parent`; the commit.

        manifest: of `folder`, where it is known already.
        Where the head has that tree already, it is returned and nothing is done. After a broken connection the head is
        read before anything is tried again, so that a commit whose answer was lost is not made twice.
        Raises Refused where the head is neither `parent` nor that tree: somebody else has committed.
        """
        manifest = manifest or Manifest.of_directory(folder)
        lost: Unavailable | Refused | None = None
        for attempt in range(ATTEMPTS):
            time.sleep(attempt)
            head = self.head(repo, branch)
            standing = self.files(repo, head)
            if is_folder(standing, folder, manifest):
                return head
            if head != parent:
                raise Refused(
                    f"{repo} has moved from {parent[:12]} to {head[:12]}",
                    mend="look at what was committed there, and publish again",
                ) from lost
            try:
                made = self._commit_folder(repo, folder, message, parent, manifest, branch, standing)
            except (Unavailable, Refused) as problem:
                lost = problem  # whether it was done all the same is seen at the head
                continue
            if not is_folder(self.files(repo, made), folder, manifest):
                raise VerificationError(
                    f"{repo}@{made[:12]} does not hold the files that were sent",
                    mend="if there is a .gitignore among them, remove it, and publish again",
                )
            return made
        raise Unavailable(f"{repo}: {lost}", mend="publish again: what has arrived is not sent twice") from lost

    def tag(self, repo: str, name: str, commit: str, message: str) -> None:
        """Tag `commit`, unless the tag stands there already. Raises Refused where it stands elsewhere."""
        repo_id, kind = _named(repo)
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

    def _commit_folder(
        self,
        repo: str,
        folder: Path,
        message: str,
        parent: str,
        manifest: Manifest,
        branch: str,
        standing: tuple[RemoteFile, ...],
    ) -> str:
        """Upload what is large, then make the one commit."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        name, kind = _named(repo)
        operations: list[CommitOperationAdd | CommitOperationDelete] = []
        for entry in manifest.entries:
            operation = CommitOperationAdd(entry.path, folder / entry.path)
            operation.upload_info.sha256 = bytes.fromhex(entry.sha256)  # measured already; the Hub measures again
            operations.append(operation)
        kept = manifest.by_path()
        operations += [CommitOperationDelete(f.path, is_folder=False) for f in standing if f.path not in kept]
        with asking(self.endpoint, repo), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*data file.*", category=UserWarning)  # parquet beside a model
            warnings.filterwarnings("ignore", category=DeprecationWarning)  # the library's, of what it calls itself
            made = self._api.create_commit(
                name, operations, commit_message=message, parent_commit=parent, revision=branch, repo_type=kind
            )
            return _commit(made.oid)

    @contextmanager
    def _stream(self, repo: str, commit: str, path: str, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """A `transfer.Source`, for one repository and commit."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

        name, kind = _named(repo)
        api = self._api
        url = hf_hub_url(name, path, repo_type=kind, revision=commit, endpoint=self.endpoint)
        headers = build_hf_headers(token=api.token, library_name=api.library_name)
        headers |= {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        with (
            reaching(self.endpoint, f"{path} of {repo}"),
            get_session().stream("GET", url, headers=headers) as response,
        ):
            hf_raise_for_status(response)
            yield (offset if response.status_code == 206 else 0), response.iter_bytes(CHUNK)


def _library(endpoint: str, token: str | bool | None) -> HfApi:
    """The library, told to speak LFS where there may be no Xet, to give up in the end, and to be silent in a pipe."""
    import httpx2
    from huggingface_hub import HfApi, constants, set_client_factory
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]
    from huggingface_hub.utils._http import default_client_factory

    if endpoint != PUBLIC_HUB:
        constants.HF_HUB_DISABLE_XET = True  # the library does not fall back from Xet to LFS
    if not sys.stderr.isatty():
        disable_progress_bars()

    def client() -> httpx2.Client:
        made = default_client_factory()
        made.timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)  # the library would wait for ever
        return made

    set_client_factory(client)
    return HfApi(endpoint=endpoint, token=token, library_name="glasshouse")


def _named(repo: str) -> tuple[str, str]:
    """(owner/name, kind as the library calls it)."""
    check_repository(repo)
    return repo.removeprefix(DATASETS), "dataset" if repo.startswith(DATASETS) else "model"


def _commit(text: str | None) -> str:
    if text is None or not _COMMIT.fullmatch(text):
        raise Unavailable(f"the Hub names {str(text)[:80]!r} as a commit", mend="check the endpoint")
    return text
