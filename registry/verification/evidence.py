"""What others say of a release: further signatures on it, rebuilds, its status. Gathered here, believed nowhere.

It comes from files that an auditor has, and from two branches of the release's repository, `status` and `audits`, where
a folder named like the tag holds bundles. Each is bounded before it is read; none is parsed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from registry import suffixes
from registry.attest.bundle import MAX_BYTES
from registry.errors import GlasshouseError, InputError
from registry.files import read_bytes
from registry.hub.reference import HubReference, Reference
from registry.manifest import walk
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.verification.case import Evidence, Gathered

if TYPE_CHECKING:
    from registry.hub.client import HubClient

BRANCHES = ("status", layout.AUDITS)
MAX_BUNDLES = 1000
"""On one branch for one release, and in one folder."""
MAX_FILES, MAX_BRANCH_BYTES = 20_000, 1 << 34
"""On one branch, of all releases; files of one folder here."""


def gather(reference: Reference, root: Path, paths: Iterable[Path], *, endpoint: str | None) -> Gathered:
    """The bundles at `paths` (files, or folders of them), and for a release on a Hub those of its two branches.

    root: where the release lies; its record names the tag to look under. Raises InputError for a path that cannot be
    read. A branch that a Hub does not show whole is told in the result: nobody knows what is not shown.
    """
    evidence = [item for path in paths for item in _local(path)]
    unanswered: dict[str, str] = {}
    if asked := isinstance(reference, HubReference):
        from registry.hub.client import HubClient

        tag, hub = _tag(root) or reference.revision, HubClient(endpoint)
        for branch in BRANCHES:
            try:
                evidence += branch_words(hub, reference.repository, branch, tag)
            except GlasshouseError as problem:
                unanswered[branch] = f"the branch {branch} cannot be read whole: {problem.message}"
    return Gathered(tuple(evidence), unanswered, asked)


def branch_words(hub: HubClient, repository: str, branch: str, tag: str) -> list[Evidence]:
    """Every bundle on a branch that speaks of the release `tag`; none where there is no such branch.

    Raises GlasshouseError where the Hub shows less than all of it: no list of branches, no listing, a file that it
    names and does not give, more than can be read.
    """
    from registry.hub.transfer import Limits

    commit = hub.refs.branches(repository).get(branch)
    if commit is None:
        return []
    names = [file.path for file in hub.files.list(repository, commit, Limits(MAX_FILES, MAX_BRANCH_BYTES))]
    wanted = sorted(name for name in names if name.startswith(f"{tag}/") and name.endswith(suffixes.BUNDLE))
    if len(wanted) > MAX_BUNDLES:
        raise InputError(
            f"{len(wanted)} bundles are in {tag}/, more than the {MAX_BUNDLES} that are read",
            mend="ask the maintainer to keep the branch short",
        )
    return [
        Evidence(f"{branch}:{name}", hub.files.read(repository, commit, name, max_bytes=MAX_BYTES)) for name in wanted
    ]


def _local(path: Path) -> Iterator[Evidence]:
    if not path.is_dir():
        yield Evidence(str(path), read_bundle(path))
        return
    found = [name for name, _ in walk(path, max_files=MAX_FILES) if name.endswith(suffixes.BUNDLE)]
    if len(found) > MAX_BUNDLES:
        raise InputError(f"{path} holds {len(found)} bundles, more than {MAX_BUNDLES}", mend="give those that matter")
    yield from (Evidence(str(path / name), read_bundle(path / name)) for name in found)


def read_bundle(path: Path) -> bytes:
    """The bytes of a bundle, not looked at. Raises InputError where there is none, or more than one can have."""
    return read_bytes(path, MAX_BYTES, mend="check the path: a bundle is a small file")


def _tag(root: Path) -> str | None:
    try:
        return ReleaseRecord.read(root / layout.RECORD).tag
    except GlasshouseError:
        return None
