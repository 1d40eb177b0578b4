"""A copy of a server's folder, made while it serves: for `glasshouse serve --backup`.

Law: whatever commit the copy has, it has every large file of. So repositories are copied first, each while nobody
changes it, and then the large files that they have a right to; meanwhile none is taken away. A copy is a folder that
can be served: to restore it is to serve it, or to copy it back.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from registry.errors import InputError
from registry.files import sync_directory
from registry.server import format as folder_format
from registry.server.check import answering
from registry.server.locks import locked
from registry.server.store.blobs import shard
from registry.server.store.holdings import folders, is_there, large_files
from registry.server.store.places import BLOBS, BLOBS_URL, BOOKED, COLLECT_LOCK, REPOSITORIES
from registry.server.store.repository import LOCK
from registry.server.store.stores import blob_store

BESIDES = ("people.json", "tokens.json", "publishers.json", "oidc.json", "audit.jsonl", "secret", BLOBS_URL,
           folder_format.FILE, "trust", BOOKED)  # fmt: skip
"""What else is copied: files, and folders whole."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a copy holds. blobs: how many were copied now; the others were there.  size: bytes of those."""

    repositories: int
    blobs: int
    size: int


def back_up(root: Path, target: Path) -> BackedUp:
    """Copy the server in `root` to `target`, where an earlier copy may lie.

    Large files that another store keeps stay there: the copy names the store. Raises InputError for a folder that is
    neither empty nor a copy, Unavailable where the store does not answer.
    """
    if not (root / REPOSITORIES).is_dir():
        raise InputError(f"{root} is not the folder of a server", mend="give the --root that it serves")
    if target.resolve() == root.resolve() or root.resolve() in target.resolve().parents:
        raise InputError(f"{target} lies in the folder that is copied", mend="copy to another disk")
    if target.is_dir() and any(target.iterdir()) and not (target / REPOSITORIES).is_dir():
        raise InputError(f"{target} is not empty, and not a copy", mend="give a folder of its own")
    (target / REPOSITORIES).mkdir(parents=True, exist_ok=True)
    (target / folder_format.UNFINISHED).touch()
    with answering(), locked(root / COLLECT_LOCK, shared=True):
        for name in BESIDES:
            _copy(root / name, target / name)
        copied = _repositories(root / REPOSITORIES, target / REPOSITORIES)
        blobs = _blobs(root, target, copied) if not (root / BLOBS_URL).exists() else []
    sync_directory(target)
    (target / folder_format.UNFINISHED).unlink()
    return BackedUp(len(copied), len(blobs), sum(blobs))


def _repositories(source: Path, target: Path) -> list[Path]:
    """Copy every repository and every tombstone; the folders of the copies. What was deleted since goes there, too."""
    copied = dict[Path, Path]()
    for folder in _each_until_none_moves(source, copied):
        place = target / folder.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as beside:
            new = Path(beside) / "repository"
            with suppress(FileNotFoundError), locked(folder / LOCK):  # it may be deleted just now
                shutil.copytree(folder, new, ignore=shutil.ignore_patterns("index-*", "commit-*", LOCK))
            if not (new / "HEAD").exists():
                continue
            if place.exists():
                place.rename(Path(beside) / "old")
            new.rename(place)
        copied[folder] = place
    for stone in source.glob("*/*/*.tombstone"):
        _copy(stone, target / stone.relative_to(source))
    for gone in set(folders(target)) - set(copied.values()):
        shutil.rmtree(gone)
    return list(copied.values())


def _each_until_none_moves(source: Path, copied: dict[Path, Path]) -> Iterator[Path]:
    """The folder of each repository until all that are there are `copied`, and no other: some get other names."""
    known = set[Path]()
    while True:
        new = [folder for folder in folders(source) if folder not in known]
        gone = [folder for folder in copied if not is_there(folder)]
        if not new and not gone:
            return
        for folder in gone:
            del copied[folder]
        known = {folder for folder in known if is_there(folder)} | set(new)
        yield from new


def _blobs(root: Path, target: Path, copied: list[Path]) -> list[int]:
    """Copy the large files that are not there; the bytes of each. What is lost, `--check` of the copy names."""
    store, sizes = blob_store(root), []
    for sha256, size in {name: size for folder in copied for name, size in large_files(folder).items()}.items():
        place = target / BLOBS / shard(sha256)
        if store.size(sha256) != size or (place.exists() and place.stat().st_size == size):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as stream:
            for chunk in store.read(sha256, 0, size):
                stream.write(chunk)
        Path(stream.name).chmod(0o444)
        Path(stream.name).replace(place)
        sizes.append(size)
    return sizes


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("lock"))
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        shutil.copy2(source, beside)
        beside.replace(target)
