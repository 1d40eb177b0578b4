"""What a commit changes, and what its tree then holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.server.problems import ENTRY_NOT_FOUND, Problem


@dataclass(frozen=True, slots=True)
class Put:
    """Write a file. path: checked.  oid: of a blob that is in git already.  large: whether that is a pointer."""

    path: str
    oid: str
    large: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a file, or a directory with all that is in it. directory: whether it can only be one."""

    path: str
    directory: bool


Change = Put | Delete


def outcome(before: dict[str, None], changes: Sequence[Change]) -> dict[str, str | None]:
    """{path: blob, or None for gone} after `changes`, one after the other. Raises Problem as `commit` does."""
    outcome: dict[str, str | None] = {}
    after = dict(before)
    for change in changes:
        match change:
            case Put(path, oid):
                outcome[path] = oid
                after[path] = None
            case Delete(path, directory):
                alone = not directory and path in after
                gone = [path] if alone else [each for each in after if each.startswith(f"{path}/")]
                if not gone:
                    word = "folder" if directory else "file"
                    raise Problem(404, f"A {word} with this name doesn't exist: {path}", ENTRY_NOT_FOUND)
                for each in gone:
                    outcome[each] = None
                    del after[each]
    for path in after:
        parts = path.split("/")
        if any("/".join(parts[:depth]) in after for depth in range(1, len(parts))):
            raise Problem(400, f"{path}: a part of this path is a file")
    return outcome
