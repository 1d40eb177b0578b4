"""Stages as DVC addresses them from the root of a project: `train`, or `models/dvc.yaml:train@small`.

Law: `address(*split(text)) == text`, and no two addresses that `check_names` lets pass have one `slug`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from registry.errors import InputError, Malformed
from registry.manifest import check_path, twins

FILE = "dvc.yaml"
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.@=-]{0,99}"
StageName = Annotated[str, StringConstraints(pattern=rf"^{NAME}$")]
"""A stage of the dvc.yaml at the root."""


def address(folder: str, name: str) -> str:
    """What DVC calls the stage `name` of the dvc.yaml in `folder`, POSIX from the root; "" is the root itself."""
    return f"{folder}/{FILE}:{name}" if folder else name


def split(place: str) -> tuple[str, str]:
    """(folder, name) of the stage at an address."""
    folder, mark, name = place.partition(f"/{FILE}:")
    return (folder, name) if folder and mark else ("", place)


def template(place: str) -> str:
    """The address of the `foreach` or the `matrix` that the stage at an address comes from, if it comes from one."""
    folder, name = split(place)
    return address(folder, name.partition("@")[0])


def slug(place: str) -> str:
    """What files are called after the stage at an address: its name; below the root, its folders and its name."""
    folder, name = split(place)
    told = "=".join((*folder.split("/"), name)) if folder else name
    if not folder or re.fullmatch(NAME, told):
        return told
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', name)[:60]}={hashlib.sha256(place.encode()).hexdigest()[:16]}"


def check_names(places: Collection[str]) -> None:
    """Refuse, with InputError, stages that files cannot be called after, or whose files are one on some disks."""
    for place in places:
        folder, name = split(place)
        if not re.fullmatch(NAME, name):
            raise InputError(
                f"the stage name {name[:120]!r} cannot be the name of a file",
                mend="letters, digits and _ . @ = - are allowed, 100 at most; "
                "the names of stages from a foreach or a matrix end in what it runs over, or in its keys",
            )
        if folder:
            check_path(folder)
    if found := twins([slug(place) for place in places]):
        raise InputError(
            f"stage names that some disks cannot tell apart: {', '.join(found[:5])}", mend="rename all but one"
        )


def _allowed(place: str) -> str:
    try:
        check_names([place])
    except (InputError, Malformed) as problem:
        raise ValueError(problem.message) from problem
    return place


StageAddress = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_allowed)]
"""A stage of any dvc.yaml of the project."""
