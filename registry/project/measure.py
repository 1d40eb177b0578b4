"""The SHA-256 of files and directories of a DVC project: what DVC would hash, by a digest that is evidence.

Files of all directories are hashed on every core. Memory grows with their number, not with their size: some 600 bytes
each.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from registry.digest import sha256_bytes
from registry.errors import InputError, Refused
from registry.files import readable
from registry.manifest import MAX_FILES, check_path, walk
from registry.project import git
from registry.project.known_digests import KnownDigests
from registry.project.known_directories import PlainDirectory, plain_directory
from registry.project.many_files import FileState, look, read
from registry.records.run import MAX_LISTED, Measured, directory_digest, listing_text

DVC_IGNORES = ("--exclude=.dvc/", "--exclude=.git/", "--exclude=.hg/", "--exclude-per-directory=.dvcignore")
"""What DVC never looks at in a directory. A .dvcignore is written as a .gitignore is, so git can read it."""

NO_INDEX = ".dvc/tmp/no-index"
"""A file that is never there: to git, with it for an index, every file is one to list."""
AT_ONCE = 100_000
"""Files of which all that the system says is held in memory at a time."""
MEND = "mend it, and dvc repro"


def measure_paths(root: Path, paths: Iterable[str], *, known: KnownDigests | None = None) -> dict[str, Measured]:
    """Each of `paths`, files or directories below `root`, measured. known: what need not be hashed again.

    A path that is a link counts as what it leads to, and so does a link to a file inside a directory: DVC can keep
    outputs so. Raises Refused for a path that is not there, and InputError for links to directories inside one,
    devices that git lists, names that `check_path` refuses, and more than a million files.
    """
    wanted = sorted(set(paths))
    if known is None:
        return _hashed(root, wanted, {}, None)
    plain = {path: found for path in wanted if (found := plain_directory(root / path, MAX_LISTED))}
    kept = {path: sha256 for path, found in plain.items() if (sha256 := known.directories.digest(path, found))}
    hashed = _hashed(root, [path for path in wanted if path not in kept], plain, known)
    return {path: hashed.get(path) or Measured(path=path, sha256=kept[path], files={}) for path in wanted}


def listing_of(root: Path, item: Measured, known: KnownDigests) -> bytes:
    """The listing of a directory that was measured as `item`. Raises Refused where it is that no more."""
    kept = known.directories.listing(item.path, item.sha256)
    if kept is None:
        names = files(root, item.path)
        with readable(root, mend=MEND):
            looked = _looked([f"{root}/{item.path}/{name}" for name in names])
            _check_plain(looked)
            digests, _ = known.sha256(looked)
        kept = listing_text(dict(zip(names, digests, strict=True))).encode()
    if sha256_bytes(kept) != item.sha256:
        raise Refused(f"{item.path} changed after it was measured", mend="leave it alone, and run it again")
    return kept


def _hashed(
    root: Path, paths: list[str], plain: Mapping[str, PlainDirectory], known: KnownDigests | None
) -> dict[str, Measured]:
    """`measure_paths`, file by file.  plain: what was found in directories that may be known as they are, later."""
    names = {path: files(root, path) for path in paths}
    whole = {path: plain[path] for path in paths if path in plain and plain[path].names == names[path]}
    names |= {path: found.names for path, found in whole.items()}  # one list of them is held, not two
    digests: list[str] = []
    unsettled: list[int] = []
    with readable(root, mend=MEND):
        others = [(path, name) for path in paths if path not in whole for name in names[path]]
        looked = iter(_looked([f"{root}/{path}/{name}" if name else f"{root}/{path}" for path, name in others]))
        every = (
            file
            for path in paths
            for file in (whole[path].files(f"{root}/{path}") if path in whole else islice(looked, len(names[path])))
        )
        while some := list(islice(every, AT_ONCE)):
            _check_plain(some)
            said, other = known.sha256(some) if known else ([file.sha256.hex() for file in read(some)], [])
            unsettled += [len(digests) + number for number in other]
            digests += said
    measured, start = {}, 0
    for path, inside in names.items():
        end = start + len(inside)
        found = dict(zip(inside, digests[start:end], strict=True))
        measured[path] = _measured(path, found)
        if known and path in whole and not any(start <= number < end for number in unsettled):
            known.directories.keep(path, whole[path], listing_text(found))
        start = end
    return measured


def _measured(path: str, found: dict[str, str]) -> Measured:
    if found.keys() == {""}:
        return Measured(path=path, sha256=found[""])
    return Measured(path=path, sha256=directory_digest(found), files=found if len(found) <= MAX_LISTED else {})


def files(root: Path, path: str, *, bytecode: bool = False) -> list[str]:
    """The files inside the directory at `path`; for a file, one empty name.

    bytecode: count what Python writes beside the code that it imports, as DVC does. Python makes it from that code,
    whenever it likes, so it is nothing that a stage reads.
    """
    if (root / path).is_file():
        return [""]
    if not (root / path).is_dir():
        raise Refused(f"{path} is not there", mend="dvc pull, or dvc repro")
    folder = (root / path).resolve()
    if not folder.is_relative_to(root.resolve()):  # a link to another disk, say, of which git knows nothing
        return [name for name, _ in walk(folder) if bytecode or not _is_bytecode(name)]
    nothing = {"GIT_INDEX_FILE": str(root.resolve() / NO_INDEX)}
    said = git.ask(folder, "ls-files", "-z", "--others", *DVC_IGNORES, "--", ".", variables=nothing)
    names = sorted(name for name in said.split("\0") if name and (bytecode or not _is_bytecode(name)))
    if len(names) > MAX_FILES:
        raise InputError(f"{path} holds {len(names)} files, more than {MAX_FILES}", mend="pack them into larger ones")
    for name in names:
        check_path(name)
    return names


def _is_bytecode(name: str) -> bool:
    return name.endswith(".pyc") and name.split("/")[-2:-1] == ["__pycache__"]


def _looked(paths: list[str]) -> list[tuple[str, FileState]]:
    """Where the bytes of each of `paths` are, itself or the file that it is a link to, and what is there."""
    found = list(zip(paths, look(paths), strict=True))
    linked = [number for number, (_, file) in enumerate(found) if stat.S_ISLNK(file.mode)]
    led = [os.path.realpath(paths[number]) for number in linked]
    for number, place, file in zip(linked, led, look(led), strict=True):
        found[number] = place, file
    return found


def _check_plain(found: list[tuple[str, FileState]]) -> None:
    """Refuse what is not a plain file."""
    if all(stat.S_ISREG(mode) for mode in {file.mode for _, file in found}):
        return
    for path, file in found:
        if not stat.S_ISREG(file.mode):
            raise InputError(
                f"{path} is a link to a directory, a repository or a device",
                mend="put plain files there; name what must not count in .dvcignore",
            )
