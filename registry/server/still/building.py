"""The site: written beside its place, and moved there whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import canonical
from registry.attest.policy import Policy
from registry.catalog import entry
from registry.catalog.entry import Whom
from registry.catalog.shelves import find_all
from registry.digest import sha256_file
from registry.errors import InputError
from registry.files import directory_beside, write_atomic
from registry.server.pages import expected
from registry.server.pages.table import pages_of
from registry.server.state import Hub
from registry.server.still.filling import elsewhere, fill
from registry.server.still.walking import Walk
from registry.server.store.places import REPOSITORIES

LIST = "glasshouse-site.json"
"""What is in a site: {file: its SHA-256}. A folder without it is not taken for a site, and never overwritten."""
NOWHERE = "hf:/"
"""The address of pages for which none is told: what they are called then is how releases are named."""


@dataclass(frozen=True, slots=True)
class BuiltSite:
    """A site that was built, or would be."""

    out: Path
    """Its folder."""
    files: dict[str, int]
    """{file: bytes}."""
    refused: tuple[str, ...]
    """Pages on which only stands why they cannot be shown."""

    def as_json(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {"folder": str(self.out), "files": len(self.files), "bytes": sum(self.files.values()),
                "pages": sum(name.endswith(".html") for name in self.files), "refused": list(self.refused)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SiteSource:
    """What a site is made of."""

    where: str
    """A server's folder, a folder of releases, or what `hf://` names."""
    whom: Whom
    """Whose signatures are expected; of a server's folder, its operator said so there."""
    root_of_trust: Path | None = None
    """The Sigstore root to tell signers by, where it is not the public one."""
    endpoint: str | None = None
    """The Hub that `hf://` names."""

    @property
    def served(self) -> bool:
        """Whether it is a server's folder."""
        return "://" not in self.where and (Path(self.where) / REPOSITORIES).is_dir()


def build(source: SiteSource, out: Path, *, address: str | None = None, downloads: str | None = None,
          dry_run: bool = False) -> BuiltSite:  # fmt: skip
    """Make the pages of everything that anybody may see at `source`, and move them to `out`.

    address: where the site will stand, without a slash at the end; feeds and badges need it.
    downloads: the address of a Hub where the files are; None: files are not linked.
    Raises InputError where `out` holds something else than a site, and as reading the releases does.
    """
    if out.exists() and not (out / LIST).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{out} is there, and was not made by this command", mend="name a folder that is not there yet"
        )
    with tempfile.TemporaryDirectory() as scratch:
        if dry_run:
            return _built(source, out, Path(scratch) / "site", address, downloads)
        with directory_beside(out) as beside:
            return _built(source, out, beside, address, downloads)


def _built(source: SiteSource, out: Path, into: Path, address: str | None, downloads: str | None) -> BuiltSite:
    with _hub(source, address or NOWHERE) as (hub, commits):
        walk = Walk(hub, pages_of(hub), into, downloads, commits)
        walk.go()
    listed = {name: sha256_file(into / name) for name in sorted(walk.written)}
    write_atomic(into / LIST, canonical.dumps(listed))
    return BuiltSite(out, walk.written, tuple(sorted(walk.refused)))


@contextmanager
def _hub(source: SiteSource, url: str) -> Iterator[tuple[Hub, dict[str, str | None]]]:
    """(a server's folder, what its commits are called where the releases lie)."""
    if source.served:
        if source.whom.verifier is not None:
            raise InputError(f"{source.where} is the folder of a server, which says in trust/ who may sign",
                             mend="leave out the options that name a signer")  # fmt: skip
        yield Hub.open(Path(source.where), url=url), {}
        return
    shelves = find_all(source.where, endpoint=source.endpoint)
    if not shelves:
        raise InputError(f"there is no release in {source.where}", mend="name a folder of releases, or hf://OWNER")
    with tempfile.TemporaryDirectory() as scratch:
        hub = Hub.open(Path(scratch), url=url)
        placed = fill(hub.repositories, [entry.read(shelf, source.whom) for shelf in shelves])
        policy = source.whom.verifier.policy if source.whom.verifier else None
        _trusted(hub.root, policy, source.root_of_trust, {each.repo.name.owner for each in placed})
        yield hub, elsewhere(placed)


def _trusted(root: Path, policy: Policy | None, root_of_trust: Path | None, owners: set[str]) -> None:
    """Name, in the folder of a server, whose signatures are expected."""
    for owner in owners if policy is not None else ():
        assert policy is not None
        write_atomic(root / expected.FOLDER / f"{owner}.yaml", canonical.dumps(policy.as_json()))
    if root_of_trust is not None:
        write_atomic(root / expected.FOLDER / expected.ROOT, root_of_trust.read_bytes())
