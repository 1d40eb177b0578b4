"""Links that DVC puts in the place of files: `cache.type symlink` keeps each output in the cache, and a link to it.

A release has plain files. So what is put into one is taken from where such a link leads, if that is the cache of this
project; any other link is refused, for nobody can tell what it will lead to tomorrow.
"""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

from registry.errors import InputError
from registry.files import directory_beside, readable
from registry.project.command import run

VIEWS = ".dvc/tmp/glasshouse/plain"
"""Where directories of links stand again, as plain files: it never leaves the working copy."""
MEND = "dvc repro, or dvc pull; where it is a link of your own, put the file itself there"


def plain(root: Path, path: Path) -> Path:
    """Where the bytes of the file at `path` are: there, or in the cache of the project at `root`.

    Raises InputError for nothing, for what is not a file, and for a link to anywhere else.
    """
    target = path.resolve() if path.is_symlink() else path
    if not target.is_file():
        raise InputError(f"{path} is missing, or is not a plain file", mend=MEND)
    if target is not path and not target.is_relative_to(_cache(root)):
        raise InputError(f"{path} is a link to {target}, which is not in the cache of this project", mend=MEND)
    return target


def plain_folder(root: Path, folder: Path) -> Path:
    """The files of `folder`, a directory below `root`, as plain ones: there, or, where links are among them, in a view.

    A view shares the bytes with the cache, where the disk can; nothing is to be written to it. Raises as `plain` does.
    """
    with readable(folder):
        if not any(item.is_symlink() for item in (folder, *folder.rglob("*"))):
            return folder
        view = root / VIEWS / folder.relative_to(root).as_posix().replace("/", "%")
        with directory_beside(view) as made:
            for item in sorted(folder.rglob("*")):
                place = made / item.relative_to(folder)
                if item.is_dir() and not item.is_symlink():
                    place.mkdir()
                else:
                    _share(plain(root, item), place)
    return view


def _share(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:  # another disk, or one that has no such thing
        shutil.copyfile(source, place)


@cache
def _cache(root: Path) -> Path:
    return Path(run(["dvc", "cache", "dir"], root).strip()).resolve()
