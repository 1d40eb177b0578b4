"""The folder of a server, as commands are given it, and who is known there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from registry.server.access.accounts import Accounts

Root = Annotated[Path, typer.Option("--root", help="The server's folder, as `glasshouse serve --root` has it.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def accounts_in(root: Path) -> Accounts:
    """The people of that server; its folder is brought to this version's format. Raises InputError for a newer one."""
    from registry.server import format as folder_format
    from registry.server.access.accounts import Accounts

    if root.exists():
        folder_format.settle(root)
    return Accounts.of(root)
