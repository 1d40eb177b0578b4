"""What `hf download` and `from_pretrained` keep on this machine, read where it lies; nothing is asked of a network.

    CACHE/models--OWNER--NAME/refs/REVISION                         the commit that a branch or tag was, when last asked
    CACHE/models--OWNER--NAME/snapshots/COMMIT/PATH -> ../../blobs/ETAG          one `../` more for each folder in PATH
    CACHE/models--OWNER--NAME/blobs/ETAG                            the bytes; or, where repositories share them,
    CACHE/models--OWNER--NAME/blobs/ETAG -> ../../blobs/XX/HASH     a link to these:
    CACHE/blobs/XX/HASH

ETAG is the file's SHA-256, or git's name for a small one; HASH begins with XX.

Law: a link counts only where it is spelt just so and leads to a plain file, and no folder on the way is a link. What
the name of a blob says of its bytes is not believed: whoever verifies hashes them.
Source: huggingface_hub 2.4, file_download.py and utils/_shared_blobs.py.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from registry.errors import InputError, Malformed
from registry.files import readable
from registry.hub.reference import DATASETS, HubReference
from registry.manifest import check_path
from registry.variables import HF_HOME, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, XDG_CACHE_HOME

_COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOB = re.compile(r"(?P<up>(?:\.\./)+)blobs/(?P<name>[0-9a-f]{40}|[0-9a-f]{64})")
_SHARED = re.compile(r"\.\./\.\./blobs/(?P<start>[0-9a-f]{2})/(?P<name>(?P=start)[0-9a-f]{62})")
MAX_REF_BYTES = 64


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a snapshot.  path: its name there.  size: bytes.  place: the plain file that holds them."""

    path: str
    size: int
    place: Path


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is kept of a repository at one commit.  root: the folder of it."""

    cache: Path
    repository: Path
    commit: str

    @property
    def root(self) -> Path:
        """The folder that `from_pretrained` reads."""
        return self.repository / "snapshots" / self.commit

    def files(self, max_files: int) -> list[Kept]:
        """Every file that is kept, sorted by path.

        Raises Malformed for a link that leads anywhere else than to a blob of this cache, for devices, for paths that
        no release may have, and for more than `max_files` files or folders; InputError for what cannot be read.
        """
        for folder in (self.repository, self.root.parent, self.root):
            _check_folder(folder)
        found: list[Kept] = []
        waiting, folders = [self.root], 1
        while waiting:
            for item in _scan(waiting.pop()):
                path = Path(item.path).relative_to(self.root).as_posix()
                check_path(path)
                if item.is_dir(follow_symlinks=False):
                    waiting.append(Path(item.path))
                    folders += 1
                else:
                    place, size = self._place(path)
                    found.append(Kept(path, size, place))
                if max(len(found), folders) > max_files:
                    _refuse(f"{self.root} holds more than {max_files} files or folders")
        return sorted(found, key=lambda kept: kept.path)

    def _place(self, path: str) -> tuple[Path, int]:
        """Where the bytes of the file at `path` lie, and how many they are."""
        place = self.root / path  # itself, where the disk knows no links
        if place.is_symlink():
            link = _BLOB.fullmatch(str(place.readlink()))
            if link is None or link["up"].count("/") != 2 + path.count("/"):
                _refuse(f"{path} links to {str(place.readlink())[:200]!r}, not to a blob of its repository")
            place = self.repository / "blobs" / link["name"]
            _check_folder(place.parent)
        if place.is_symlink():
            link = _SHARED.fullmatch(str(place.readlink()))
            if link is None:
                _refuse(f"{path}: its blob links to {str(place.readlink())[:200]!r}, not to a blob of this cache")
            place = self.cache / "blobs" / link["start"] / link["name"]
            _check_folder(place.parent.parent)
            _check_folder(place.parent)
        with readable(place, mend=MEND):
            info = place.lstat()
        if not stat.S_ISREG(info.st_mode):
            _refuse(f"{path}: {place} is a link or a device, not a plain file")
        return place, info.st_size


MEND = "remove what is kept of this repository (hf cache rm), and download it again"


def folder() -> Path:
    """Where the cache is: HF_HUB_CACHE, else `hub` in HF_HOME, else `huggingface/hub` in the user's cache folder."""
    home = os.environ.get(HF_HOME) or f"{os.environ.get(XDG_CACHE_HOME) or '~/.cache'}/huggingface"
    chosen = os.environ.get(HF_HUB_CACHE) or os.environ.get(HUGGINGFACE_HUB_CACHE) or f"{home}/hub"
    return Path(os.path.expandvars(chosen)).expanduser().resolve()


def snapshot(reference: HubReference) -> Snapshot:
    """What is kept of the release that `reference` names. Raises InputError where nothing is."""
    kind = "datasets" if reference.repository.startswith(DATASETS) else "models"
    cache = folder()
    repository = cache / "--".join((kind, *reference.repository.removeprefix(DATASETS).split("/")))
    commit = reference.revision if _COMMIT.fullmatch(reference.revision) else _commit(repository, reference.revision)
    if commit is None or not (repository / "snapshots" / commit).is_dir():
        raise InputError(f"{reference} is not in the cache {cache}", mend=f"download all of it: {download(reference)}")
    return Snapshot(cache, repository, commit)


def download(reference: HubReference) -> str:
    """The command that brings a whole release into the cache."""
    kind = "--repo-type dataset " if reference.repository.startswith(DATASETS) else ""
    return f"hf download {kind}{reference.repository.removeprefix(DATASETS)} --revision {reference.revision}"


def _commit(repository: Path, revision: str) -> str | None:
    """The commit that a branch or tag was, as far as the cache says; None where it says nothing."""
    try:
        place = repository / "refs" / revision
        if not stat.S_ISREG(place.lstat().st_mode):
            return None
        with place.open("rb") as stream:
            text = stream.read(MAX_REF_BYTES).decode("ascii").strip()
    except (OSError, UnicodeError):
        return None
    return text if _COMMIT.fullmatch(text) else None


def _check_folder(place: Path) -> None:
    if place.is_symlink() or not place.is_dir():
        _refuse(f"{place} is not a plain folder")


def _scan(place: Path) -> Iterator[os.DirEntry[str]]:
    with readable(place), os.scandir(place) as items:
        yield from items


def _refuse(found: str) -> NoReturn:
    raise Malformed(found, mend=MEND)
