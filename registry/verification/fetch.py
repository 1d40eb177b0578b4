"""Step 1: a reference becomes one place, a directory whose bytes all stem from one commit.

Law: of a release on a Hub, no more is fetched than the release statement there signs. What is listed otherwise fails,
and nothing but that statement is fetched. Whose statement it is, step 3 tells of what came.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from registry.attest import predicates
from registry.attest.bundle import MAX_MODEL_BYTES
from registry.digest import Progress
from registry.errors import GlasshouseError
from registry.hub.reference import DirectoryReference, HubReference, Reference, is_commit
from registry.records import layout
from registry.report import Check, Step, Verdict
from registry.verification.case import unverified
from registry.verification.elsewhere import Downloaded, cached
from registry.verification.summary import ended
from registry.verification.tree import Tree

if TYPE_CHECKING:
    from registry.hub.client import HubClient
    from registry.hub.client.trees import Admit
    from registry.hub.transfer import RemoteFile


@dataclass(frozen=True, slots=True)
class Fetched:
    """A release on this machine."""

    tree: Tree
    """The files, where they lie."""
    words: str
    """How they came there."""
    seconds: float = 0.0
    """How long that took."""

    @property
    def root(self) -> Path:
        """The directory."""
        return self.tree.root


@contextmanager
def fetched(
    reference: Reference,
    *,
    endpoint: str | None,
    into: Path | None,
    progress: Progress | None,
    hf_cache: bool = False,
) -> Iterator[Fetched]:
    """The release that `reference` names, in a directory.

    A directory is read in place. A release on a Hub is downloaded at the commit the reference resolves to, into `into`
    (kept) or into a directory that goes away when the block ends; or, with `hf_cache`, read in the Hugging Face cache,
    and nothing is asked of the Hub. Raises what HubClient and `cached` raise.
    """
    match reference:
        case DirectoryReference():
            yield Fetched(Downloaded(reference.root), "a directory, read in place")
        case HubReference() if hf_cache:
            tree, commit = cached(reference)
            yield Fetched(tree, f"commit {commit}, read in the Hugging Face cache")
        case HubReference(repository, revision):
            from registry.hub.client import HubClient  # what lies here is verified without

            started, hub = perf_counter(), HubClient(endpoint)
            commit = hub.refs.resolve(repository, revision)
            words, admit = read_at(reference, commit), foreseen(hub, reference, commit)
            if into is not None:
                hub.trees.download(repository, commit, into, progress, admit=admit)
                yield Fetched(Tree(into), words, perf_counter() - started)
                return
            with tempfile.TemporaryDirectory(prefix="glasshouse-") as folder:
                root = Path(folder) / "release"
                hub.trees.download(repository, commit, root, progress, admit=admit)
                yield Fetched(Tree(root), words, perf_counter() - started)


def read_at(reference: HubReference, commit: str) -> str:
    """What is said of a release that was read at `commit`. Whoever asks for a commit is told what nobody can check."""
    words = f"commit {commit}, all files read at it"
    return f"{words}; that it holds them is the Hub's word alone" if is_commit(reference.revision) else words


def foreseen(hub: HubClient, reference: HubReference, commit: str) -> Admit:
    """Looks at what a Hub lists of the release at `commit`, before it is fetched.

    It raises FailedReport where the files, or their sizes, are not those that the release statement there lists, and
    UnknownReport where that statement is not of a kind that is read. Nothing is known of what has no such statement.
    """

    def admit(files: Sequence[RemoteFile]) -> None:
        listed = {file.path: file.size for file in files}
        if layout.RELEASE_ATTESTATION not in listed:
            return  # never a release of ours
        too_large = [path for path in sorted(layout.COVERED_LAST) if listed.get(path, 0) > MAX_MODEL_BYTES]
        checks = [_fails(path, f"{listed[path]} bytes, more than a bundle may have") for path in too_large]
        if not checks:
            data = hub.files.read(reference.repository, commit, layout.RELEASE_ATTESTATION, max_bytes=MAX_MODEL_BYTES)
            try:
                signed = {file.path: file.size for file in predicates.Release.of(unverified(data)).files}
            except GlasshouseError as problem:
                checks = [Check(Step.BYTES, Verdict.of(problem), layout.RELEASE_ATTESTATION, problem.message)]
            else:
                checks = list(_departures(signed, listed))
        if checks:
            words = "not looked at: nothing was fetched, for the Hub lists other files than were signed"
            ended(str(reference), checks, words).require()

    return admit


def _departures(signed: dict[str, int], listed: dict[str, int]) -> Iterator[Check]:
    for path in sorted(signed.keys() | listed.keys() - layout.COVERED_LAST):
        if path not in listed:
            yield _fails(path, "missing: it is signed, and the Hub does not list it")
        elif path not in signed:
            yield _fails(path, "unexpected: the Hub lists it, and it is not signed")
        elif listed[path] != signed[path]:
            yield _fails(path, f"altered: signed as {signed[path]} bytes, the Hub lists {listed[path]} bytes")


def _fails(path: str, words: str) -> Check:
    return Check(Step.BYTES, Verdict.FAIL, path, words)
