"""Which version comes next, and whether there is anything to release at all."""

from __future__ import annotations

from registry.errors import InputError, Refused
from registry.hub.client import HubClient
from registry.records import release as layout
from registry.records.release import ReleaseRecord
from registry.release.config import parse_version

MAX_RECORD_BYTES = 1 << 20


def versions(hub: HubClient, repo: str) -> list[tuple[int, int, int]]:
    """The released versions of `repo`, lowest first; empty for a repository that is not there yet."""
    found = []
    for tag in hub.tags(repo):
        try:
            found.append(parse_version(tag))
        except InputError:
            continue  # a tag that is no release
    return sorted(found)


def next_version(released: list[tuple[int, int, int]]) -> str:
    """The version that follows: 1.0.0 first, then the next patch of the highest."""
    if not released:
        return "1.0.0"
    major, minor, patch = released[-1]
    return f"{major}.{minor}.{patch + 1}"


def check_is_new(released: list[tuple[int, int, int]], version: str) -> None:
    """Refuse a version that exists."""
    if parse_version(version) in released:
        raise Refused(
            f"version {version} exists and never changes",
            mend=f"take the next one: --version {next_version(released)}",
        )


def unchanged_since(hub: HubClient, repo: str, content: str) -> str | None:
    """The tag of the last release, where its content is `content`; None where it is another, or there is none.

    The last release's record is read as the Hub gives it, unverified: it only decides whether there is work to do.
    """
    released = versions(hub, repo)
    if not released:
        return None
    tag = "v" + ".".join(map(str, released[-1]))
    data = hub.read(repo, hub.resolve(repo, tag), layout.RECORD, max_bytes=MAX_RECORD_BYTES)
    return tag if ReleaseRecord.from_bytes(data, name=layout.RECORD).content == content else None
