"""What a repository holds: trees, files, and the objects of git that they are made of."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from registry.server.problems import Problem
from registry.server.store import git, pointers


@dataclass(frozen=True, slots=True)
class TreeRow:
    """One line of a tree.

    path: from the root of the repository.  oid: git's SHA-1 of the blob or tree.  size: bytes of the content (of the
    large file, not of its pointer); 0 for a directory.  sha256: of the large file, None for all else.
    pointer_size: bytes of the pointer in git.
    """

    path: str
    oid: str
    size: int
    directory: bool = False
    sha256: str | None = None
    pointer_size: int = 0


def tree(folder: Path, commit: str, paths: Iterable[str] = (), *, recursive: bool = False) -> list[TreeRow]:
    """The rows of `commit`, all of them or those of `paths`; a path that ends in `/` means what is in the directory."""
    options = ["-r", "-t"] if recursive else []
    words = ("ls-tree", "-z", "-l", "--full-tree", *options, commit, "--")
    rows = []
    for line in _of_portions(folder, words, paths):
        facts, path = line.split("\t", 1)
        _, kind, oid, size = facts.split()
        if not (size == "-" or size.isdigit()):
            raise git.GitFailed(words[0], f"{oid} cannot be read", folder)
        rows.append(TreeRow(path, oid, 0 if size == "-" else int(size), directory=kind == "tree"))
    return _with_large_files(folder, rows)


def file_names(folder: Path, commit: str, paths: Iterable[str] = ()) -> list[str]:
    """The path of every file at `commit`; below `paths`, where some are named."""
    return _of_portions(folder, ("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--"), paths)


def _of_portions(folder: Path, words: Sequence[str], paths: Iterable[str]) -> list[str]:
    """What git lists of those paths, of all for none: by as many processes as it takes to name them."""
    listings = (git.run(folder, *words, *portion).decode() for portion in git.portions(paths))
    return [line for listing in listings for line in listing.split("\0")[:-1]]


def read_file(folder: Path, commit: str, path: str) -> tuple[TreeRow, bytes] | None:
    """The file `path` at `commit` and its bytes in git (of a large file: the pointer), by one process; None for none.

    No blob in git is larger than what a commit may carry, so it fits into memory.
    """
    with _in_memory() as answer:
        git.run(folder, "cat-file", "--batch", given=f"{commit}:{path}\n".encode(), into=answer)
        answer.seek(0)
        match answer.readline().decode(errors="replace").split():
            case [oid, "blob", size]:
                data = answer.read(int(size))
            case _:
                return None
    large = pointers.pointed(data)
    if large is None:
        return TreeRow(path, oid, len(data)), data
    return TreeRow(path, oid, large[1], sha256=large[0], pointer_size=len(data)), data


def _in_memory() -> IO[bytes]:
    """A file that is on no disk, where the system has such: read from a pipe, in pieces, ten megabytes leave holes in
    the memory of each thread that others do not fill."""
    return os.fdopen(os.memfd_create("git"), "w+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


def contents(folder: Path, names: Sequence[str], kind: str | None = None) -> list[bytes | None]:
    """The bytes of each object named, as `commit:path` or any other way of git's; None for what is not there.

    kind: `blob`, `tree` or `commit`, where all else is as good as not there.
    """
    given = "".join(f"{name}\n" for name in names).encode()
    batch, found, start = git.run(folder, "cat-file", "--batch", given=given) if names else b"", list[bytes | None](), 0
    for _ in names:
        end = batch.index(b"\n", start)
        size = batch[start:end].rpartition(b" ")[2]
        if not size.isdigit():  # `NAME missing`, or `NAME ambiguous`
            found.append(None)
            start = end + 1
            continue
        fits = kind is None or batch[start:end].split(b" ")[1] == kind.encode()
        found.append(batch[end + 1 : end + 1 + int(size)] if fits else None)
        start = end + 2 + int(size)
    return found


def names_in(tree: bytes) -> list[str]:
    """What stands in a tree itself, from the bytes that git keeps of it: `mode name NUL id`, time and again."""
    found, start = [], 0
    while start < len(tree):
        space, end = tree.index(b" ", start), tree.index(b"\0", start)
        found.append(tree[space + 1 : end].decode(errors="replace"))
        start = end + 1 + len(git.ABSENT) // 2
    return found


def object_name(kind: str, data: bytes) -> str:
    """What git calls an object of that kind with those bytes."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def hash_objects(folder: Path, files: Sequence[Path], kind: str = "blob") -> list[str]:
    """Store `files` as objects of that kind, all by one process, as they are (no filter, no line-end conversion).

    Law: what is kept apart is whole. Git would leave out what the repository has already, and that can be taken away
    before the commit is made.
    """
    if not files:
        return []
    given = "".join(f"{path}\n" for path in files).encode()
    words = ("hash-object", "-w", "-t", kind, "--no-filters", "--stdin-paths")
    return git.run(folder, *words, given=given, extra={"GIT_ALTERNATE_OBJECT_DIRECTORIES": ""}).decode().split()


def write_trees(folder: Path, trees: Sequence[bytes]) -> list[str]:
    """Store trees, each as git keeps it, flushed to the disk: `git mktree` heeds no setting, and flushes none."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as scratch:
        files = [Path(scratch) / str(number) for number in range(len(trees))]
        for file, tree in zip(files, trees, strict=True):
            file.write_bytes(tree)
        return hash_objects(folder, files, "tree")


def fill_index(folder: Path, index: Mapping[str, str], entries: Mapping[str, str | None]) -> None:
    """Write {path: blob, or None for gone} to an index. Raises Problem 400 for a path that git refuses.

    Git passes over some of those in silence but for a remark: whatever it remarks is a refusal.
    """
    lines = [
        f"100644 {oid}\t{path}\0" if oid else f"0 {git.ABSENT}\t{path}\0"
        for path, oid in sorted(entries.items(), key=lambda item: item[1] is not None)
    ]
    words = ("update-index", "-z", "--index-info")
    done = git.done(folder, *words, given="".join(lines).encode(), extra=index)
    if done.returncode or done.stderr:
        said = git.words_of(done)
        if "nvalid path" in said or "Ignoring path" in said:
            raise Problem(400, f"git refuses one of the paths: {said[:300]}")
        raise git.GitFailed(words[0], said, folder)


def _with_large_files(folder: Path, rows: list[TreeRow]) -> list[TreeRow]:
    """The same rows, pointers replaced by what they point to."""
    asked = sorted({row.oid for row in rows if not row.directory and row.size in pointers.SIZES})
    if not asked:
        return rows
    found = _pointers(folder, git.run(folder, "cat-file", "--batch", given="\n".join(asked).encode() + b"\n"))
    return [
        TreeRow(row.path, row.oid, found[row.oid][1], sha256=found[row.oid][0], pointer_size=row.size)
        if row.oid in found and not row.directory
        else row
        for row in rows
    ]


def _pointers(folder: Path, batch: bytes) -> dict[str, tuple[str, int]]:
    """{blob: (sha256, size)} of those blobs in the output of `cat-file --batch` that are pointers."""
    found: dict[str, tuple[str, int]] = {}
    start = 0
    while start < len(batch):
        end = batch.index(b"\n", start)
        oid, *facts = batch[start:end].decode().split()
        if len(facts) != 2:
            raise git.GitFailed("cat-file", f"{oid} cannot be read", folder)
        size = int(facts[1])
        large = pointers.pointed(batch[end + 1 : end + 1 + size])
        if large is not None:
            found[oid] = large
        start = end + 2 + size
    return found
