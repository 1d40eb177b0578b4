"""What git-lfs is told, by `.gitattributes`, of what is stored as a large file.

Law: whatever stands as a pointer in a tree that the server makes has `filter=lfs` there, so a clone with git-lfs has
the file itself, and no change. Every repository begins with a `.gitattributes`; who takes the one at its root away has
chosen otherwise. Git decides what an attribute is; nothing here reads patterns.
Source: gitattributes(5).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from registry.records import layout
from registry.server.problems import Problem
from registry.server.store import git, objects
from registry.server.store.changes import Change, Put

_UNION = f"{layout.GIT_ATTRIBUTES} merge=union\n"
"""Two branches that have each added a line to it do not conflict."""


def told_of(
    folder: Path, tree: str, changes: Sequence[Change], after: Mapping[str, str | None], index: Mapping[str, str]
) -> str:
    """A tree that `changes` made, with a line for each large file that has none.

    after: {path: blob, or None for gone} of all that changed.  index: as `trees.made` has left it; it is written anew
    where a line may be lacking.  Raises Problem 400 where git cannot be told.
    """
    everything = any(PurePosixPath(path).name == layout.GIT_ATTRIBUTES for path in after)
    large = list({change.path for change in changes if isinstance(change, Put) and change.large and after[change.path]})
    if not everything and not _lacking(folder, index, large):
        return tree
    git.run(folder, "read-tree", tree, extra=index)
    return _told_of_all(folder, index) if everything else _told(folder, index, large)


def asked_for(folder: Path, commit: str, paths: Sequence[str]) -> set[str]:
    """Those of `paths` that the `.gitattributes` of `commit` keeps as large files."""
    with git.scratch_index(folder) as index:
        git.run(folder, "read-tree", commit, extra=index)
        return set(paths) - set(_lacking(folder, index, paths))


def merged(folder: Path, ours: str, theirs: str) -> tuple[str, list[str]]:
    """(the tree of both commits together, the files at which they conflict). Source: git-merge-tree(1).

    Where they have no commit in common, for a history was made anew, every file of `theirs` conflicts.
    """
    if not git.run(folder, "merge-base", ours, theirs, allowed=(0, 1)):
        return ours, [row.path for row in objects.tree(folder, theirs)]
    with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as scratch:
        union = Path(scratch) / "attributes"
        union.write_text(_UNION)
        words = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", ours, theirs)
        seen = (f"core.attributesFile={union}",)
        answer = git.run(folder, *words, allowed=(0, 1), more=seen, seconds=git.SECONDS)
        tree, *clashes = answer.decode().rstrip("\0").split("\0")
        if clashes:
            return tree, clashes
    with git.scratch_index(folder) as index:
        git.run(folder, "read-tree", tree, extra=index)
        return _told_of_all(folder, index), []


def _told_of_all(folder: Path, index: Mapping[str, str]) -> str:
    tree = _tree(folder, index)
    return _told(folder, index, [row.path for row in objects.tree(folder, tree, recursive=True) if row.sha256])


def _told(folder: Path, index: Mapping[str, str], large: Sequence[str]) -> str:
    """The tree of an index in which git-lfs is told of each path of `large`."""
    lacking = _lacking(folder, index, large)
    if lacking and git.run(folder, "ls-files", "-z", "--", layout.GIT_ATTRIBUTES, extra=index):
        _add_lines(folder, index, lacking)
        if still := _lacking(folder, index, lacking):
            raise Problem(400, f"{still[0][:200]} is a large file, and no line of .gitattributes can say so: rename it")
    return _tree(folder, index)


def _add_lines(folder: Path, index: Mapping[str, str], paths: Iterable[str]) -> None:
    """Append a line for each path to the `.gitattributes` nearest to it, whose last line that matches counts."""
    listing = git.run(folder, "ls-files", "-s", "-z", extra=index).decode().split("\0")[:-1]
    entries = (entry.partition("\t") for entry in listing)
    here = {path: facts.split()[1] for facts, _, path in entries if path.split("/")[-1] == layout.GIT_ATTRIBUTES}
    lines: dict[str, str] = {}
    for path in sorted(paths):
        parents = [f"{parent}/".removeprefix("./") for parent in PurePosixPath(path).parents]
        place = next((parent for parent in parents if f"{parent}{layout.GIT_ATTRIBUTES}" in here), "")
        lines[place] = lines.get(place, "") + layout.large_file(path.removeprefix(place))
    new = {}
    for place, more in lines.items():
        name = f"{place}{layout.GIT_ATTRIBUTES}"
        text = git.run(folder, "cat-file", "blob", here[name]) if name in here else b""
        text += b"\n" * (text[-1:] not in (b"", b"\n")) + more.encode()
        new[name] = git.run(folder, "hash-object", "-w", "--stdin", given=text).decode().strip()
    objects.fill_index(folder, index, new)


def _lacking(folder: Path, index: Mapping[str, str], paths: Sequence[str]) -> list[str]:
    """Those of `paths` that are not large files to git, by the `.gitattributes` of the index."""
    if not paths:
        return []
    given = "".join(f"{path}\0" for path in paths).encode()
    words = ("check-attr", "-z", "--cached", "--stdin", "filter")
    answer = git.run(folder, *words, given=given, extra=index, seconds=git.SECONDS)
    told = answer.decode().split("\0")[:-1]
    return [path for path, value in zip(told[::3], told[2::3], strict=True) if value != "lfs"]


def _tree(folder: Path, index: Mapping[str, str]) -> str:
    return git.run(folder, "write-tree", extra=index).decode().strip()
