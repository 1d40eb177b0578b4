"""Publish a signed release: one commit, its remote checksums, and only then the tag.

A release exists once its tag does. What belongs to it in other repositories goes first, and is tagged just before. Each
step looks first at what is there, so an interrupted publication is finished by running it again: no second commit for
the same files, no tag that moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from registry.digest import Progress
from registry.errors import Refused, VerificationError
from registry.hub import metadata
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.manifest import Manifest, walk
from registry.records import release as layout
from registry.records.release import ReleaseRecord
from registry.release import companions, signed


@dataclass(frozen=True, slots=True)
class _Part:
    """A folder that becomes one repository's tree."""

    repo: str
    folder: Path
    manifest: Manifest


def publish(folder: Path, hub: HubClient, progress: Progress | None = None) -> HubReference:
    """Publish the signed release in `folder` to the repository its record names, and return its reference.

    progress: is told each byte of `size` twice: when it is hashed, and when it is sent.

    Raises InputError for metadata that the Hub would not understand; Refused where it is not signed or has changed
    since, where a tag stands at other files, or where somebody else committed at the same moment; DigestMismatch for a
    companion that is not the one the record names; VerificationError where the Hub's checksums are not those of the
    manifest. No tag of the release is made then.
    """
    record = ReleaseRecord.read(folder / layout.RECORD)
    manifest = Manifest.of_directory(folder, progress)
    signed.check(folder, manifest)
    parts = [_Part(*found) for found in companions.laid_out(folder, record, progress)]
    parts.append(_Part(record.repo, folder, manifest))
    for part in parts:
        metadata.check(part.folder)
    missing = [part for part in parts if not _stands(hub, part, record.tag)]
    hub.ensure_repo(record.repo)
    hub.ensure_branch(record.repo, layout.AUDITS)  # so that an auditor's pull request has a place to go to
    message = f"Release {record.tag}"
    commits = [_sent(hub, part, message, progress) for part in missing]
    for part, commit in zip(missing, commits, strict=True):
        hub.tag(part.repo, record.tag, commit, message=message)  # the release's own last
    return HubReference(record.repo, record.tag)


def size(folder: Path) -> int:
    """Bytes of the release in `folder`, and of its companions as its record says."""
    record = ReleaseRecord.read(folder / layout.RECORD)
    return sum(count for _, count in walk(folder)) + sum(companion.size for companion in record.companions)


def _stands(hub: HubClient, part: _Part, tag: str) -> bool:
    """Whether it is there already, under its tag. Raises Refused where the tag is another's."""
    standing = hub.tags(part.repo).get(tag)
    if standing is not None and hub.verify_remote(part.repo, standing, part.manifest):
        raise Refused(
            f"{part.repo} has a release {tag} with other files",
            mend="a release never changes: cut the next version",
        )
    return standing is not None


def _sent(hub: HubClient, part: _Part, message: str, progress: Progress | None) -> str:
    """Its one commit, made and compared."""
    hub.ensure_repo(part.repo)
    head = hub.head(part.repo)
    commit = hub.publish(
        part.repo, part.folder, message=message, parent=head, manifest=part.manifest, progress=progress
    )
    if difference := hub.verify_remote(part.repo, commit, part.manifest):
        raise VerificationError(
            f"the Hub holds other bytes than were sent: {difference}",
            mend="publish again; if it stays so, do not use this Hub",
        )
    return commit
