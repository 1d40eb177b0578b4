"""Trees of releases that other tools laid down: in a folder of a person's, and in the Hugging Face cache.

Law: what is passed over is known by its name and by what it holds; everything else is a file of the release.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from registry import canonical
from registry.attest import predicates
from registry.attest.bundle import MAX_MODEL_BYTES
from registry.digest import Digests, Progress, measure_files
from registry.errors import GlasshouseError, InputError, Malformed, Unavailable
from registry.files import directory_beside
from registry.hub.reference import HubReference
from registry.manifest import MAX_FILES, Manifest, walk
from registry.records import layout
from registry.verification.case import unverified
from registry.verification.tree import Tree, Wanted

if TYPE_CHECKING:
    from registry.hub import cache

NOTES = ".cache/huggingface/"
"""The folder in which `hf download --local-dir` keeps notes of what it did."""
_DONE = re.compile(rb"[0-9a-f]{40}\n(?:[0-9a-f]{40}|[0-9a-f]{64})\n[0-9]{1,12}(?:\.[0-9]{1,12})?\n")
"""Which commit a file came from, what it was called in the Hub's store, and when it came."""
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"
"""How a file begins that says to programs which make copies: this folder can be left out."""
MAX_NOTE_BYTES = 1 << 10
MAX_LISTING_BYTES = 64 << 20


class Downloaded(Tree):
    """A directory of plain files. Notes that `hf download --local-dir` may have left in it are passed over."""

    def files(self, *, max_files: int = MAX_FILES) -> list[tuple[str, int]]:
        """(path, size) of each file but those notes. Raises Malformed and InputError as `walk` does."""
        everything = walk(self.root, max_files=4 * max_files)  # a note and a lock for each file
        found = [(path, size) for path, size in everything if not self._is_note(path, size)]
        if len(found) > max_files:
            raise Malformed(f"{self.root} holds more than {max_files} files", mend="do not use this release")
        return found

    def _is_note(self, path: str, size: int) -> bool:
        """Whether the file is a note as huggingface_hub writes it (2.4, _local_folder.py and _tree_cache.py)."""
        if not path.startswith(NOTES):
            return False
        name = path.removeprefix(NOTES)
        try:
            if re.fullmatch(r"trees/[0-9a-f]{40}\.json", name):
                listing = canonical.read(self.root / path, max_bytes=MAX_LISTING_BYTES)
                return isinstance(listing, dict) and listing.keys() == {"format_version", "files"}
            data = (self.root / path).read_bytes() if size <= MAX_NOTE_BYTES else None
        except (InputError, OSError):
            return False
        match data:
            case None:
                return False
            case b"":
                return name == ".gitignore.lock" or (name.startswith("download/") and name.endswith(".lock"))
            case b"*":
                return name == ".gitignore"
        if name == "CACHEDIR.TAG":
            return data.startswith(_TAG)
        return name.startswith("download/") and name.endswith(".metadata") and _DONE.fullmatch(data) is not None


def copied(given: Path, folder: Path, accept: Callable[[Path, Manifest], object]) -> Manifest:
    """The files of the directory `given`, copied to `folder`, which appears when `accept` raised nothing for them.

    Notes of `hf download --local-dir` are left out. Raises Malformed and InputError as `walk` does; InputError where
    there is no file, or it cannot be read, or the copy not written.
    """
    try:
        with directory_beside(folder) as beside:
            if not (files := Downloaded(given).files()):
                raise InputError(f"{given} holds no file", mend="give the folder that the files lie in")
            for path, _ in files:
                place = beside / path
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(given / path, place, follow_symlinks=False)  # a link that came meanwhile is refused
            came = Manifest.of_directory(beside)
            accept(beside, came)
    except OSError as problem:
        raise InputError(
            f"{given} cannot be copied: {problem.strerror}", mend="make room on the disk, and see that it can be read"
        ) from problem
    return came


class Cached(Tree):
    """A snapshot in the Hugging Face cache, read where it lies: its files are links to blobs of that cache."""

    def __init__(self, snapshot: cache.Snapshot) -> None:
        super().__init__(snapshot.root)
        self._snapshot = snapshot
        self._places: dict[str, Path] = {}

    def files(self, *, max_files: int = MAX_FILES) -> list[tuple[str, int]]:
        """(path, size) of each file. Raises Malformed and InputError as `Snapshot.files` does."""
        kept = self._snapshot.files(max_files)
        self._places = {file.path: file.place for file in kept}
        return [(file.path, file.size) for file in kept]

    def digests(self, wanted: Wanted, progress: Progress | None = None) -> list[Digests]:
        """What was measured of each file, where `files` found its bytes. Raises OSError as `Tree.digests`."""
        return measure_files(((self._places[path], algorithms) for path, algorithms in wanted), progress)


def cached(reference: HubReference) -> tuple[Cached, str]:
    """What the cache keeps of a release, and its commit.

    Raises InputError where it keeps nothing of it, and Unavailable where it keeps a part: loading a model brings the
    files that were loaded, and no signatures.
    """
    from registry.hub import cache

    snapshot = cache.snapshot(reference)
    tree = Cached(snapshot)
    if missing := _missing(tree):
        told = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        raise Unavailable(
            f"the cache holds only a part of {reference}: {told} is not there",
            mend=f"download all of it: {cache.download(reference)}",
        )
    return tree, snapshot.commit


def _missing(tree: Tree) -> list[str]:
    """Which files the release statement lists, nothing of it verified, that are not there.

    Empty where the directory or the statement is not what it must be: that is for the steps to tell.
    """
    try:
        names = dict(tree.files())
        needed = {layout.SIGNATURE, layout.RELEASE_ATTESTATION}
        if needed <= names.keys() and names[layout.RELEASE_ATTESTATION] <= MAX_MODEL_BYTES:
            statement = unverified((tree.root / layout.RELEASE_ATTESTATION).read_bytes())
            needed |= {file.path for file in predicates.Release.of(statement).files}
    except (GlasshouseError, OSError):
        return []
    return sorted(needed - names.keys())
