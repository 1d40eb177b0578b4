"""The tree that changes make of another. Only the folders on the way to what changes are read, and written anew.

So a commit to a repository of many files costs what its own folders hold. Git decides what a path may be.
A tree object is `mode name NUL id`, time and again, in which a folder is sorted as `name/`.
Source: git's tree.c, base_name_compare.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from registry.records.layout import GIT_ATTRIBUTES
from registry.server.store import objects
from registry.server.store.changes import Change, above, outcome
from registry.server.store.git import ABSENT

_FOLDER = "40000"
_FILE = "100644"
Entries = dict[str, tuple[str, str]]
"""What stands in a folder itself: {name: (mode, id)}."""


def made(
    folder: Path, head: str, changes: Sequence[Change], index: Mapping[str, str]
) -> tuple[str, dict[str, str | None]]:
    """(the tree that `changes` make of that of the commit `head`, {path: blob, or None for gone} of all that changed).

    index: gets what is put, each as an empty file, and every `.gitattributes` that git heeds for it, as it was before.
    Raises Problem as `Repository.commit` does.
    """
    known = _read(folder, head, _above(change.path for change in changes))
    after = outcome(_files(folder, head, changes, known), changes)
    known |= _read(folder, head, _above(after) - known.keys())
    put = [path for path, oid in after.items() if oid is not None]
    # Git refuses a bad path here, before anything is made of it.
    empty = objects.object_name("blob", b"")
    objects.fill_index(folder, index, dict(_attributes(known, put)) | dict.fromkeys(put, empty))
    return _written(folder, known, after), after


def _above(paths: Iterable[str]) -> set[str]:
    """The folders that lead to those paths, and the root, which is the empty one. Raises Problem 413 as `above`."""
    return {*above(paths), ""}


def _read(folder: Path, head: str, wanted: Collection[str]) -> dict[str, Entries]:
    """{path: what is in it} of the folders of a commit; an empty one for what is not a folder there."""
    if head == ABSENT:
        return {path: {} for path in wanted}
    paths = sorted(wanted)
    trees = objects.contents(folder, [f"{head}:{path}" for path in paths], kind="tree")
    return {path: _entries(tree or b"") for path, tree in zip(paths, trees, strict=True)}


def _entries(tree: bytes) -> Entries:
    found, start = Entries(), 0
    while start < len(tree):
        space, end = tree.index(b" ", start), tree.index(b"\0", start)
        following = end + 1 + len(ABSENT) // 2
        name = tree[space + 1 : end].decode(errors="surrogateescape")
        found[name] = tree[start:space].decode(), tree[end + 1 : following].hex()
        start = following
    return found


def _files(folder: Path, head: str, changes: Sequence[Change], known: Mapping[str, Entries]) -> dict[str, None]:
    """Those files of a commit that `changes` may have to do with: at their paths, above them, below them."""
    files, folders = dict[str, None](), list[str]()
    paths = {change.path for change in changes}
    for path in sorted(paths | _above(paths) - {""}):
        parent, _, name = path.rpartition("/")
        mode, _ = known[parent].get(name, ("", ""))
        if mode == _FOLDER and path in paths:
            folders.append(path)
        elif mode not in ("", _FOLDER):
            files[path] = None
    return files | dict.fromkeys(objects.file_names(folder, head, folders) if folders else ())


def _attributes(known: Mapping[str, Entries], paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(path, blob) of each `.gitattributes` in a folder that leads to one of `paths`."""
    for place in _above(paths):
        mode, oid = known[place].get(GIT_ATTRIBUTES, ("", ""))
        if mode == _FILE:
            yield f"{place}/{GIT_ATTRIBUTES}".removeprefix("/"), oid


def _written(folder: Path, known: Mapping[str, Entries], after: Mapping[str, str | None]) -> str:
    """The tree of the root, after all folders that changed were written, the deepest first."""
    trees = list[bytes]()
    for path, oid in after.items():
        parent, _, name = path.rpartition("/")
        known[parent].pop(name, None)
        if oid is not None:
            known[parent][name] = _FILE, oid
    for path in sorted(_above(after) - {""}, key=lambda path: path.count("/"), reverse=True):
        parent, _, name = path.rpartition("/")
        if known[path]:
            trees.append(_packed(known[path]))
            known[parent][name] = _FOLDER, objects.object_name("tree", trees[-1])
        elif known[parent].get(name, (_FOLDER,))[0] == _FOLDER:
            known[parent].pop(name, None)
    return objects.write_trees(folder, [*trees, _packed(known[""])])[-1]


def _packed(entries: Entries) -> bytes:
    """The bytes of that tree."""
    rows = [(name.encode(errors="surrogateescape"), mode, oid) for name, (mode, oid) in entries.items()]
    rows.sort(key=lambda row: row[0] + b"/" * (row[1] == _FOLDER))
    return b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for name, mode, oid in rows)
