"""`glasshouse hub`: what belongs to a Hub of one's own, besides serving it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from registry.cli import output, tokens
from registry.cli.tree import App
from registry.errors import InputError

app = App(help="Look after a Hub of your own.", no_args_is_help=True)
app.add_typer(tokens.app, name="token")


@app.command(epilog="Example: glasshouse hub usage --root ./hub")
def usage(
    root: Annotated[Path, typer.Option("--root", help="The server's folder, as `glasshouse serve --root` has it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show how many bytes each namespace and each repository holds, as a quota counts them."""
    from registry.server.store import holdings
    from registry.server.store.places import REPOSITORIES

    found = list(holdings.each(root / REPOSITORIES))
    owners = Counter[str]()
    for each in found:
        owners[each.name.owner] += each.size
    if as_json:
        rows = [{"name": each.name.url_path, "large": each.large, "regular": each.regular} for each in found]
        output.data({"namespaces": dict(sorted(owners.items())), "repositories": rows})
        return
    for owner, size in sorted(owners.items()):
        print(f"{size:>16,}  {owner}")
        for each in sorted(found, key=lambda each: -each.size):
            if each.name.owner == owner:
                print(f"{each.size:>16,}    {each.name.url_path}  ({each.large:,} in large files)")


@app.command(epilog="Example: glasshouse hub log --root ./hub --head")
def log(
    root: Annotated[Path, typer.Option("--root", help="The server's folder, as `glasshouse serve --root` has it.")],
    head: Annotated[
        bool, typer.Option("--head", help="Print the digest that seals the log alone; note it down elsewhere.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what was done with rights, and check that no line was changed or taken away. Exit 1 where one was."""
    from registry.server.access.audit_log import AuditLog

    kept = AuditLog(root)
    try:
        rows = list(kept.lines())
    except InputError as problem:
        output.say(output.printable(problem.message))
        raise typer.Exit(1) from problem
    if head:
        print(kept.head())
    elif as_json:
        output.data(rows)
    else:
        for row in rows:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row["at"]))
            print(output.printable(f"{when}  {row['event']}  {row['about']}  by {row['by']}"))
