"""Publish a signed release: one commit, its remote checksums, and only then the tag.

A release exists once its tag does. What belongs to it in other repositories goes first, and is tagged just before. Each
step looks first at what is there, so an interrupted publication is finished by running it again: no second commit for
the same files, no tag that moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from registry.digest import Progress
from registry.errors import Refused, VerificationError
from registry.hub import metadata
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.manifest import Manifest, walk
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.release import companions, signed


@dataclass(frozen=True, slots=True)
class _Part:
    """A folder that becomes one repository's tree."""

    repo: str
    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Ready:
    """A release that can be published as it is."""

    record: ReleaseRecord
    """The release record."""
    missing: tuple[_Part, ...]
    """What the Hub has not, the release itself last."""

    @property
    def reference(self) -> HubReference:
        """What it will be called."""
        return HubReference(self.record.repo, self.record.tag)

    @property
    def size(self) -> int:
        """Bytes to send, at most: a Hub takes no large file twice."""
        return sum(part.manifest.size for part in self.missing)

    def __str__(self) -> str:
        if not self.missing:
            return f"{self.reference}: nothing to send, it is there already"
        parts = [
            f"{len(part.manifest.entries)} files, {decimal(part.manifest.size)} to {part.repo}" for part in self.missing
        ]
        return f"{self.reference}: {'; '.join(parts)}"


def look(folder: Path, hub: HubClient, progress: Progress | None = None) -> Ready:
    """Check everything that must hold before the signed release in `folder` is published. Changes nothing.

    progress: is told the bytes that are hashed.
    Raises InputError for metadata that the Hub would not understand; Refused where it is not signed or has changed
    since, or where a tag stands at other files; DigestMismatch for a companion that is not the one the record names.
    """
    record = ReleaseRecord.read(folder / layout.RECORD)
    manifest = Manifest.of_directory(folder, progress)
    signed.check(folder, manifest)
    parts = [_Part(*found) for found in companions.laid_out(folder, record, progress)]
    parts.append(_Part(record.repo, folder, manifest))
    for part in parts:
        metadata.check(part.folder)
    return Ready(record, tuple(part for part in parts if not _stands(hub, part, record.tag)))


def send(ready: Ready, hub: HubClient, progress: Progress | None = None) -> HubReference:
    """Publish what is ready to the repository that its record names, and return its reference.

    progress: is told the bytes that are sent.
    Raises Refused where somebody else committed at the same moment; VerificationError where the Hub's checksums are not
    those of the manifest. No tag of the release is made then.
    """
    repo, tag = ready.record.repo, ready.record.tag
    with hub.account.rights_to(repo):
        hub.repos.ensure(repo)
        hub.refs.ensure_branch(repo, layout.AUDITS)  # so that an auditor's pull request has a place to go to
    message = f"Release {tag}"
    commits = [_sent(hub, part, message, progress) for part in ready.missing]
    for part, commit in zip(ready.missing, commits, strict=True):
        with hub.account.rights_to(part.repo):
            hub.refs.tag(part.repo, tag, commit, message=message)  # the release's own last
    return ready.reference


def check_rights(record: ReleaseRecord, hub: HubClient) -> None:
    """Raise CredentialsError where a workflow's identity may not publish to each repository that `record` names.

    Whether a stored token may is not asked: it is seen when the token is used.
    """
    for repo in (record.repo, *(companion.repo for companion in record.companions)):
        with hub.account.rights_to(repo):
            pass


def publish(folder: Path, hub: HubClient) -> HubReference:
    """`look`, and `send`."""
    return send(look(folder, hub), hub)


def size(folder: Path) -> int:
    """Bytes of the release in `folder`, and of its companions as its record says."""
    record = ReleaseRecord.read(folder / layout.RECORD)
    return sum(count for _, count in walk(folder)) + sum(companion.size for companion in record.companions)


def _stands(hub: HubClient, part: _Part, tag: str) -> bool:
    """Whether it is there already, under its tag. Raises Refused where the tag is another's."""
    with hub.account.rights_to(part.repo):
        standing = hub.refs.tags(part.repo).get(tag)
        differs = standing is not None and hub.trees.compare(part.repo, standing, part.manifest)
    if differs:
        raise Refused(
            f"{part.repo} has a release {tag} with other files",
            mend="a release never changes: cut the next version",
        )
    return standing is not None


def _sent(hub: HubClient, part: _Part, message: str, progress: Progress | None) -> str:
    """Its one commit, made and compared."""
    with hub.account.rights_to(part.repo):
        hub.repos.ensure(part.repo)
        head = hub.refs.head(part.repo)
        commit = hub.trees.publish(
            part.repo, part.folder, message=message, parent=head, manifest=part.manifest, progress=progress
        )
        difference = hub.trees.compare(part.repo, commit, part.manifest)
    if difference:
        raise VerificationError(
            f"the Hub holds other bytes than were sent: {difference}",
            mend="publish again; if it stays so, do not use this Hub",
        )
    return commit
