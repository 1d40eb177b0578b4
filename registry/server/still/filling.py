"""A server's folder, made of releases that lie elsewhere: what pages read is there, and no weights are.

Law: the same releases make the same folder. Small files are as they lie there; of a large one there is what its signer
said of it, its size and SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from os import utime
from pathlib import Path

from registry.catalog.entry import MAX_RECORD, ReleaseEntry
from registry.errors import InputError
from registry.manifest import check_path
from registry.records import layout
from registry.server.names import MAIN, RepoName
from registry.server.problems import Problem
from registry.server.store import branching, git, pointers, refs
from registry.server.store.changes import Put
from registry.server.store.repository import BRANCHES, Repository
from registry.verification.evidence import BRANCHES as SPOKEN
from registry.versions import order

AUTHOR = "glasshouse"
SIGNED = (layout.RELEASE_ATTESTATION, layout.SIGNATURE)
"""What lists every other file, and so is listed by none."""


@dataclass(frozen=True, slots=True)
class ShelvedRelease:
    """A release that was put into the folder. repo, tag, commit: where.  entry: what it was made of."""

    repo: Repository
    tag: str
    commit: str
    entry: ReleaseEntry


def fill(repositories: Path, entries: Sequence[ReleaseEntry]) -> list[ShelvedRelease]:
    """Put each release into the folder of repositories.

    Raises InputError where two are of one name and version, and as reading them does.
    """
    found = []
    for name, group in groupby(sorted(entries, key=lambda each: each.release.name), lambda each: each.release.name):
        releases = sorted(group, key=lambda each: order(each.release.version))
        twice = {each.release.version for each in releases}
        if len(twice) != len(releases):
            raise InputError(f"two releases are called {name} and have one version", mend="give one of them")
        found += _repository(repositories, name, releases)
    return found


def _repository(repositories: Path, name: str, releases: Sequence[ReleaseEntry]) -> list[ShelvedRelease]:
    owner, _, short = name.partition("/")
    try:
        repo_name = RepoName("models", owner, short)
    except Problem as problem:
        raise InputError(
            f"{name[:200]!r} is not the name of a repository", mend="name releases OWNER/NAME"
        ) from problem
    Repository.create(repositories, repo_name, AUTHOR, {})
    repo = Repository.open(repositories, repo_name)
    placed, head = [], refs.named(repo.folder)[BRANCHES + MAIN]
    for each in releases:
        head = _commit(repo, MAIN, _files(each), _made(each), head)
        branching.tag(repo, tag := each.release.version, head, "", AUTHOR)
        placed.append(ShelvedRelease(repo, tag, head, each))
    for branch in SPOKEN:
        words = {evidence.name.partition(":")[2]: evidence.data
                 for each in releases for evidence in each.shelf.words(branch)}  # fmt: skip
        if words:
            _commit(repo, branch, words, _made(releases[-1]), git.ABSENT)
    utime(repo.folder / "HEAD", (0, 0))
    return placed


def _files(entry: ReleaseEntry) -> dict[str, bytes | tuple[str, int]]:
    """{path: its bytes, or (SHA-256, size) of a large one}."""
    found: dict[str, bytes | tuple[str, int]] = {}
    for file in entry.release.files:
        large = file.size > MAX_RECORD or file.path.lower().endswith(layout.LARGE_SUFFIXES)
        found[file.path] = (file.sha256, file.size) if large else entry.shelf.read(file.path, MAX_RECORD)
    for path in (*(each.name for each in entry.release.attestations), *SIGNED):
        found[path] = entry.shelf.read(path, MAX_RECORD)
    return found


def _commit(repo: Repository, branch: str, files: Mapping[str, bytes | tuple[str, int]], when: str, old: str) -> str:
    """A commit on `branch` that holds `files` and nothing else."""
    puts = []
    for path, content in sorted(files.items()):
        check_path(path)
        data = content if isinstance(content, bytes) else pointers.pointer(*content)
        oid = git.run(repo.folder, "hash-object", "-w", "--stdin", given=data).decode().strip()
        puts.append(Put(path, oid, large=not isinstance(content, bytes)))
    with repo.lock():
        return repo.write(BRANCHES + branch, git.ABSENT, puts, AUTHOR, "released", old=old, when=when)


def _made(entry: ReleaseEntry) -> str:
    """When it was signed, as far as that is shown; else when its code was committed."""
    return entry.signature.at.isoformat() if entry.signature.at else entry.record.source.committed_at


def elsewhere(placed: Sequence[ShelvedRelease]) -> dict[str, str | None]:
    """{commit in the folder: the one where the release lies, None for a directory}."""
    return {each.commit: each.entry.shelf.commit for each in placed}
