"""All files of a commit together: fetched, measured, compared, published.

Law of `publish`: the tree at the commit it returns is exactly the folder, whatever happened on the way, and publishing
the same folder again makes no second commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from registry.digest import Progress
from registry.errors import Refused, Unavailable, VerificationError
from registry.hub import transfer
from registry.hub.client.commits import Commits
from registry.hub.client.files import RemoteFiles
from registry.hub.client.folder import Folder
from registry.hub.client.progress import Sending
from registry.hub.client.refs import MAIN, Refs
from registry.hub.client.series import Series
from registry.hub.transfer import Limits, RemoteFile
from registry.manifest import Difference, Entry, Manifest, compare
from registry.parallel import for_each

ATTEMPTS = 3
Admit = Callable[[Sequence[RemoteFile]], object]
"""Looks at what a Hub lists, before anything of it is fetched; raises where that must not be."""
Given = TypeVar("Given")
Result = TypeVar("Result")


class Trees:
    """The trees of a Hub's repositories."""

    def __init__(self, refs: Refs, files: RemoteFiles, commits: Commits, series: Series) -> None:
        self._refs = refs
        self._files = files
        self._commits = commits
        self._series = series

    def download(
        self,
        repo: str,
        commit: str,
        folder: Path,
        progress: Progress | None = None,
        limits: Limits = Limits(),  # noqa: B008
        accept: Callable[[Path, Manifest], object] | None = None,
        admit: Admit | None = None,
    ) -> Manifest:
        """Fetch all of `repo` at `commit` into `folder`, which appears when everything has come, and `accept` raised
        nothing for it. What `admit` raises for the listing ends it before a byte has come.

        The manifest is of the bytes that came. That they are the signed ones is for the caller to check: a Hub's own
        listing proves nothing. Raises as `transfer.check_listing` and `transfer.download` do.
        """
        files = self._admitted(repo, commit, limits, admit)
        return transfer.download(self._files.source(repo, commit), files, folder, progress, accept)

    def measure(
        self,
        repo: str,
        commit: str,
        progress: Progress | None = None,
        limits: Limits = Limits(),  # noqa: B008
        admit: Admit | None = None,
    ) -> Manifest:
        """The bytes of all of `repo` at `commit`, hashed as they come, and not kept. Raises as `download` does."""
        source, files = self._files.source(repo, commit), self._admitted(repo, commit, limits, admit)

        def measured(file: RemoteFile, told: Callable[[int], None]) -> Entry:
            return transfer.read(source, file, lambda data: told(len(data)))

        return Manifest(tuple(for_each(measured, files, progress, transfer.WORKERS)))

    def _admitted(self, repo: str, commit: str, limits: Limits, admit: Admit | None) -> tuple[RemoteFile, ...]:
        files = self._files.list(repo, commit, limits)
        if admit is not None:
            admit(files)
        return files

    def compare(self, repo: str, commit: str, manifest: Manifest, keep: tuple[str, ...] = ()) -> Difference:
        """Where the Hub's own checksums at `commit` depart from `manifest`; paths in `keep` may be there besides.

        Large files are compared by the SHA-256 the Hub lists; those that stand in git (a few MiB at most) are fetched
        and hashed, for a Hub lists only their SHA-1. What the Hub would really send of a large file is not looked at:
        that is `download`.
        """
        want = manifest.by_path()
        source = self._files.source(repo, commit)

        def entry(file: RemoteFile) -> Entry:
            if file.sha256 is not None:
                return Entry(file.path, file.size, file.sha256)
            if file.path not in want or want[file.path].size != file.size:
                return Entry(file.path, file.size, "0" * 64)  # it differs already, whatever its bytes are
            return transfer.read(source, file, lambda chunk: None)

        listed = [file for file in self._files.list(repo, commit) if file.path in want or file.path not in keep]
        return compare(manifest, Manifest(tuple(in_parallel(entry, listed))))

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
            head = self._refs.head(repo, branch)
            standing = self._files.list(repo, head)
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
            if not wanted.is_at(self._files.list(repo, made)):
                raise VerificationError(
                    f"{repo}@{made[:12]} does not hold the files that were sent",
                    mend="if there is a .gitignore among them, remove it, and publish again",
                )
            sending.finish()
            return made
        raise Unavailable(f"{repo}: {lost}", mend="publish again: what has arrived is not sent twice") from lost

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
            return self._series.publish(repo, wanted, message, parent, sending)
        return self._commits.make(repo, [change for part in commits for change in part], message, parent, branch)


def in_parallel(work: Callable[[Given], Result], items: Iterable[Given]) -> list[Result]:
    """`work` of each of `items`, in their order, a few at a time: as many as one user should ask of a Hub at once."""
    return for_each(lambda item, told: work(item), items, workers=transfer.WORKERS)
