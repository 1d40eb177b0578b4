"""Which version comes next, and whether there is anything to release at all."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from registry.errors import Refused
from registry.hub.client import HubClient
from registry.records import layout
from registry.records.release_record import ReleaseRecord
from registry.release.signing import is_signed
from registry.versions import Version, numbers, parse, tag_of

MAX_RECORD_BYTES = 1 << 20


def versions(hub: HubClient, repo: str) -> list[Version]:
    """The released versions of `repo`, lowest first; empty for a repository that is not there yet."""
    return sorted(found for tag in hub.refs.tags(repo) if (found := numbers(tag)))


def signed_here(folder: Path) -> list[Version]:
    """The versions that stand signed in `folder`, lowest first."""
    places = folder.iterdir() if folder.is_dir() else ()
    return sorted(found for place in places if (found := numbers(place.name)) and is_signed(place))


def next_version(released: list[Version]) -> str:
    """The version that follows: 1.0.0 first, then the next patch of the highest."""
    if not released:
        return "1.0.0"
    major, minor, patch = released[-1]
    return f"{major}.{minor}.{patch + 1}"


def check_is_new(released: list[Version], version: str) -> None:
    """Refuse a version that exists."""
    if parse(version) in released:
        raise Refused(
            f"version {version} exists and never changes",
            mend=f"take the next one: --version {next_version(released)}",
        )


def unchanged_since(hub: HubClient, planned: ReleaseRecord, derived: Collection[str] = ()) -> str | None:
    """The tag of the last release, where it holds what `planned` would; None where it does not, or there is none.

    derived: repositories of companions that are made from what `content` covers: they tell the version, so of them only
    that they are there is compared.

    The last release's record is read as the Hub gives it, unverified: it only decides whether there is work to do.
    """
    repo = planned.repo
    released = versions(hub, repo)
    if not released:
        return None
    tag = tag_of(released[-1])
    data = hub.files.read(repo, hub.refs.resolve(repo, tag), layout.RECORD, max_bytes=MAX_RECORD_BYTES)
    last = ReleaseRecord.from_bytes(data, name=layout.RECORD)
    others = [
        {(each.repo, None if each.repo in derived else each.content) for each in record.companions}
        for record in (last, planned)
    ]
    return tag if last.content == planned.content and others[0] == others[1] else None
