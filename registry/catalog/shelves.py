"""Shelves, where releases lie: on a Hub, or in a folder of this machine. Their small files are read within bounds.

A shelf holds one release. What is read there is hostile: entry.py holds it to what was signed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from registry.errors import GlasshouseError, InputError, Unavailable
from registry.files import read_bytes, readable
from registry.hub.client import HubClient, in_parallel
from registry.hub.reference import SCHEME, DirectoryReference, HubReference, Reference, is_name, parse
from registry.manifest import check_path
from registry.records import layout
from registry.verification.case import Evidence
from registry.verification.evidence import branch_words
from registry.verification.fetch import fetched
from registry.versions import numbers, order

MAX_TAGS = 1_000
"""Releases of one repository that are looked at, the newest."""
MAX_REPOSITORIES = 10_000
"""Repositories of one Hub that are looked at."""
MAX_FOLDERS = 20_000
"""Folders that are looked into for releases."""
DEPTH = 4
"""How deep below the folder that is named a release may lie."""


class ReleaseShelf(Protocol):
    """One release, where it lies."""

    @property
    def reference(self) -> Reference:
        """What names it."""
        ...

    @property
    def commit(self) -> str | None:
        """The commit that everything is read at; None for a directory."""
        ...

    def read(self, path: str, max_bytes: int) -> bytes:
        """The bytes of one of its files. Raises InputError where there is none, or it is larger than `max_bytes`."""
        ...

    def file(self, path: str, max_bytes: int) -> AbstractContextManager[Path]:
        """Where one of its files lies on this machine, however large, until the block ends.

        Raises InputError where there is none, or it is larger than `max_bytes`.
        """
        ...

    def words(self, branch: str) -> list[Evidence]:
        """What was said of it since, on a branch of its repository. Raises GlasshouseError where not all is shown."""
        ...


@dataclass(frozen=True, slots=True)
class FolderShelf:
    """A release in a directory."""

    reference: DirectoryReference
    """The directory."""

    @property
    def commit(self) -> str | None:
        """None: a directory has no commit."""
        return None

    def read(self, path: str, max_bytes: int) -> bytes:
        """As ReleaseShelf. A link is not followed."""
        return read_bytes(plain(self.reference.root, path), max_bytes)

    @contextmanager
    def file(self, path: str, max_bytes: int) -> Iterator[Path]:
        """As ReleaseShelf: where it lies. A link is not followed."""
        there = plain(self.reference.root, path)
        if there.stat().st_size > max_bytes:
            raise InputError(f"{path} has more than {max_bytes} bytes", mend=f"look at {path} in {self.reference}")
        yield there

    def words(self, branch: str) -> list[Evidence]:
        """None: words on a release stand beside it on a Hub."""
        return []


@dataclass(frozen=True, slots=True)
class HubShelf:
    """A release on a Hub, at one commit."""

    reference: HubReference
    """The repository and the tag."""
    commit: str
    """The commit that the tag stands for."""
    hub: HubClient
    """Who asks."""

    def read(self, path: str, max_bytes: int) -> bytes:
        """As ReleaseShelf."""
        return self.hub.files.read(self.reference.repository, self.commit, path, max_bytes=max_bytes)

    @contextmanager
    def file(self, path: str, max_bytes: int) -> Iterator[Path]:
        """As ReleaseShelf: downloaded, and removed when the block ends."""
        opened = self.hub.files.source(self.reference.repository, self.commit)
        with tempfile.TemporaryDirectory(prefix="glasshouse-") as folder:
            there, size = Path(folder) / PurePosixPath(path).name, 0
            with there.open("wb") as stream, opened(path, 0) as (_, chunks):
                for chunk in chunks:
                    size += len(chunk)
                    if size > max_bytes:
                        raise InputError(f"{path} has more than {max_bytes} bytes", mend=f"look at {path} in the Hub")
                    stream.write(chunk)
            yield there

    def words(self, branch: str) -> list[Evidence]:
        """As ReleaseShelf."""
        return branch_words(self.hub, self.reference.repository, branch, self.reference.revision)


def plain(root: Path, path: str) -> Path:
    """Where the plain file `path` of the release at `root` is. Raises InputError where there is none, or a link."""
    check_path(path)
    where = root / path
    if where.resolve() != root.resolve() / path or not where.is_file():
        raise InputError(f"{root} has no plain file {path}", mend="name the directory of a release")
    return where


def find(text: str, *, endpoint: str | None) -> ReleaseShelf:
    """The one release that `text` names. Raises InputError where it names none, and as the Hub does."""
    reference = parse(text)
    if isinstance(reference, DirectoryReference):
        reference.root  # noqa: B018 - raises where there is none
        return FolderShelf(reference)
    hub = HubClient(endpoint)
    return HubShelf(reference, hub.refs.resolve(reference.repository, reference.revision), hub)


def find_all(where: str, *, endpoint: str | None) -> list[ReleaseShelf]:
    """Every release at `where`: `hf://` (a whole Hub), `hf://OWNER`, `hf://OWNER/NAME`, or a folder of releases.

    They come by repository, the newest version first. Raises InputError for anything else, and beyond the bounds.
    """
    if not where.startswith(SCHEME):
        return [FolderShelf(DirectoryReference(folder)) for folder in _folders(Path(where))]
    hub, name = HubClient(endpoint), where.removeprefix(SCHEME).strip("/")
    if "@" in name:
        return [find(where, endpoint=endpoint)]
    if "/" in name:
        repositories = [HubReference(name).repository]
    elif not name or is_name(name):
        repositories = hub.repos.names(name or None, most=MAX_REPOSITORIES)
    else:
        raise InputError(f"{where[:200]!r} names neither an owner nor a repository", mend="write hf://OWNER/NAME")
    found = in_parallel(lambda repository: released(hub, repository), repositories)
    return [each for group in found for each in group]


def released(hub: HubClient, repository: str) -> list[HubShelf]:
    """The releases of one repository: its tags that are versions, the newest first."""
    tags = {tag: commit for tag, commit in hub.refs.tags(repository).items() if numbers(tag)}
    newest = sorted(tags, key=order, reverse=True)[:MAX_TAGS]
    return [HubShelf(HubReference(repository, tag), tags[tag], hub) for tag in newest]


def _folders(root: Path) -> list[Path]:
    """The directories of releases at `root` or below, the newest version first in each folder."""
    if not root.is_dir():
        raise InputError(f"{root} is not a folder", mend="name a folder of releases, or hf://OWNER")
    found, looked, waiting = [], 0, [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        looked += 1
        if looked > MAX_FOLDERS:
            raise InputError(f"{root} holds more than {MAX_FOLDERS} folders", mend="name the folder of the releases")
        if (folder / layout.RECORD).is_file() and (folder / layout.RELEASE_ATTESTATION).is_file():
            found.append(folder)
        elif depth < DEPTH:
            with readable(folder):
                inside = list(folder.iterdir())
            waiting += [(path, depth + 1) for path in inside if path.is_dir() and not path.is_symlink()]
    return sorted(found, key=lambda path: (str(path.parent), [-each for each in numbers(path.name) or ()], path.name))


@contextmanager
def whole(shelf: ReleaseShelf, *, endpoint: str | None, download: bool) -> Iterator[Path | None]:
    """The release's directory with its weights: where it lies, or downloaded where `download`; else None."""
    if isinstance(shelf.reference, HubReference) and not download:
        yield None
        return
    with fetched(shelf.reference, endpoint=endpoint, into=None, progress=None) as there:
        yield there.root


def said(problem: GlasshouseError) -> str:
    """What went wrong, for a row in which nothing else can stand."""
    return ("could not look: " if isinstance(problem, Unavailable) else "") + problem.message
