"""The format of a server's folder, told by a number in it, and the way from each older one to this.

Law: a server writes only to a folder of its own format. One that is older is brought there first; one that is newer, or
an unfinished copy, is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from registry.errors import InputError
from registry.files import write_atomic
from registry.server.access.takeover import take_over
from registry.server.locks import locked
from registry.server.store.places import UPLOADS, XORB_MAPS
from registry.server.store.uploads import PACKED

FILE = "format"
UNFINISHED = "unfinished"
"""Stands in a copy until all of it is there."""


def _to_1(root: Path) -> None:
    """What Xet clients sent is remembered by the id of a token; before, by the name of its holder, which is dropped."""
    shutil.rmtree(root / XORB_MAPS, ignore_errors=True)
    for folder in (root / UPLOADS).glob(f"{PACKED}*"):
        shutil.rmtree(folder, ignore_errors=True)
    (root / "quota.lock").unlink(missing_ok=True)


UPGRADES: tuple[Callable[[Path], None], ...] = (_to_1, take_over)
"""What brings a folder of format N to N + 1, by N."""
FORMAT = len(UPGRADES)


def settle(root: Path) -> None:
    """Bring the folder to this format. Raises InputError for one that is newer, or was not copied whole."""
    if (root / UNFINISHED).exists():
        raise InputError(
            f"{root} is a copy that was not finished", mend=f"run `glasshouse serve --backup {root}` to its end"
        )
    with locked(root / "format.lock"):
        known = version(root)
        if known > FORMAT:
            raise InputError(
                f"{root} has format {known}, and this server knows {FORMAT}",
                mend="use a newer version",
            )
        for number in range(known, FORMAT):
            UPGRADES[number](root)
            write_atomic(root / FILE, f"{number + 1}\n".encode())


def version(root: Path) -> int:
    """The format of a folder; 0 where no number tells. Raises InputError for what is not a number."""
    try:
        return int((root / FILE).read_text())
    except FileNotFoundError:
        return 0
    except ValueError as problem:
        raise InputError(f"{root / FILE} holds no number", mend="restore it from a backup") from problem
