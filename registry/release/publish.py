"""Publish a signed release: one commit, its remote checksums, and only then the tag.

A release exists once its tag does. Each step looks first at what is there, so an interrupted publication is finished by
running it again: no second commit for the same files, no tag that moves.
"""

from __future__ import annotations

from pathlib import Path

from registry.digest import Progress
from registry.errors import Refused, VerificationError
from registry.hub import metadata
from registry.hub.client import HubClient
from registry.hub.reference import HubReference
from registry.manifest import Manifest
from registry.records import release as layout
from registry.records.release import ReleaseRecord
from registry.release.sign import is_signed


def publish(folder: Path, hub: HubClient, progress: Progress | None = None) -> HubReference:
    """Publish the signed release in `folder` to the repository its record names, and return its reference.

    Raises InputError for metadata that the Hub would not understand; Refused where it is not signed, where the tag
    stands at other files, or where somebody else committed at the same moment; VerificationError where the Hub's
    checksums are not those of the manifest: no tag is made then.
    """
    record = ReleaseRecord.read(folder / layout.RECORD)
    if not is_signed(folder):
        raise Refused(f"{folder} is not signed", mend=f"glasshouse release sign {folder}")
    metadata.check(folder)
    manifest = Manifest.of_directory(folder, progress)
    hub.ensure_repo(record.repo)
    standing = hub.tags(record.repo).get(record.tag)
    if standing is not None and hub.verify_remote(record.repo, standing, manifest):
        raise Refused(
            f"{record.repo} has a release {record.tag} with other files",
            mend="a release never changes: cut the next version",
        )
    hub.ensure_branch(record.repo, layout.AUDITS)  # so that an auditor's pull request has a place to go to
    if standing is None:
        head = hub.head(record.repo)
        commit = hub.publish(record.repo, folder, message=f"Release {record.tag}", parent=head, manifest=manifest)
        if difference := hub.verify_remote(record.repo, commit, manifest):
            raise VerificationError(
                f"the Hub holds other bytes than were sent: {difference}",
                mend="publish again; if it stays so, do not use this Hub",
            )
        hub.tag(record.repo, record.tag, commit, message=f"Release {record.tag}")
    return HubReference(record.repo, record.tag)
