"""Step 1: a reference becomes one place, a directory whose bytes all stem from one commit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from registry.digest import Progress
from registry.hub.reference import DirectoryReference, HubReference, Reference
from registry.verification.elsewhere import Downloaded, cached
from registry.verification.tree import Tree


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
            words = f"commit {commit}, all files read at it"
            if into is not None:
                hub.trees.download(repository, commit, into, progress)
                yield Fetched(Tree(into), words, perf_counter() - started)
                return
            with tempfile.TemporaryDirectory(prefix="glasshouse-") as folder:
                root = Path(folder) / "release"
                hub.trees.download(repository, commit, root, progress)
                yield Fetched(Tree(root), words, perf_counter() - started)
