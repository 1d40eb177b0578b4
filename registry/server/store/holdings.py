"""What each repository and each namespace holds, by their ledgers: what a quota is counted by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.digest import is_sha256
from registry.server.names import RepoName
from registry.server.store.ledger import FILE, Ledger
from registry.server.store.places import REQUESTS


@dataclass(frozen=True, slots=True)
class Holding:
    """What one repository holds. large, regular: bytes of its large files, and of all others that were ever sent."""

    name: RepoName
    large: int
    regular: int

    @property
    def size(self) -> int:
        """Both together."""
        return self.large + self.regular


def each(repositories: Path) -> Iterator[Holding]:
    """What each repository in the folder holds, by name."""
    for folder in folders(repositories):
        rows = Ledger(folder).read()
        large = sum(size for name, size in rows.items() if is_sha256(name))
        name = RepoName(folder.parts[-3], folder.parts[-2], folder.name.removesuffix(".git"))
        yield Holding(name, large, sum(rows.values()) - large)


def folders(repositories: Path) -> list[Path]:
    """The folder of each repository."""
    return sorted(repositories.glob("*/[!.]*/[!.]*.git"))


def folders_while(repositories: Path) -> Iterator[Path]:
    """The folder of each repository, one after the other; of one that got another name meanwhile, the new one, too."""
    known = set[Path]()
    while new := [folder for folder in folders(repositories) if folder not in known]:
        known.update(new)
        yield from new


def is_there(folder: Path) -> bool:
    """Whether that is still the folder of a repository: it may be deleted, or get another name, at any moment."""
    return (folder / "HEAD").is_file()


def large_files(folder: Path) -> dict[str, int]:
    """{sha256: bytes} of the large files that a repository keeps: of its own, and of requests that can be opened again.

    Whoever takes away what is not among them holds COLLECT_LOCK, which no repository changes its name beside.
    """
    own = Ledger(folder).blobs()  # first: what is closed meanwhile is in both
    return {name: size for rows in (*(each.blobs() for each in put_away(folder)), own) for name, size in rows.items()}


def put_away(folder: Path) -> list[Ledger]:
    """The ledger of each closed request of a repository: what it gets back with it, should that be opened again."""
    return [Ledger(path.parent) for path in folder.glob(f"{REQUESTS}/*/{FILE}")]


def has_namespace(repositories: Path, name: str) -> bool:
    """Whether a namespace of that name, in any case of its letters, has or had repositories."""
    return any(place.name.lower() == name.lower() for place in repositories.glob("*/[!.]*"))
