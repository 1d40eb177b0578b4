"""`glasshouse hub org`: the organisations of a server of one's own, and their members."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from registry.cli import output
from registry.cli.folder import Json, Root, accounts_in
from registry.cli.tree import App

app = App(help="Make and remove organisations, and say who is a member of them.", no_args_is_help=True)


@app.command(epilog="Example: glasshouse hub org create lab --root ./hub --owner alice")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, and that of its namespace.")],
    root: Root,
    owner: Annotated[str, typer.Option(help="The user who says who the members are.")],
    as_json: Json = False,
) -> None:
    """Make an organisation."""
    made = accounts_in(root).people.create_organisation(name, owner)
    if as_json:
        output.data(made.as_json())
    else:
        print(f"{made.name} is an organisation of {owner}")


@app.command("list", epilog="Example: glasshouse hub org list --root ./hub")
def listing(root: Root, as_json: Json = False) -> None:
    """Show every organisation with its members."""
    found = [each for each in accounts_in(root).people.read().organisations if each.removed is None]
    if as_json:
        output.data([each.as_json() for each in found])
        return
    for each in found:
        members = ", ".join(f"{name} ({role})" for name, role in each.members.items()) or "nobody"
        print(f"{each.name}  {members}")


@app.command(epilog="Example: glasshouse hub org remove lab --root ./hub")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The organisation.")],
    root: Root,
) -> None:
    """Let an organisation be none any more. It may have no repositories, and its name is not given again."""
    accounts_in(root).remove_organisation(name)
    output.say(f"{name} is not an organisation any more")


@app.command(epilog="Example: glasshouse hub org member lab bob --root ./hub --role write")
def member(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The organisation.")],
    user: Annotated[str, typer.Argument(metavar="USER", help="The user.")],
    root: Root,
    role: Annotated[
        Literal["read", "write", "owner", "none"], typer.Option(help="What they may do in it; none: they leave it.")
    ],
) -> None:
    """Say what a user may do in an organisation. It holds at the next request, also for the tokens that they have."""
    from registry.server.access.people import NamespaceRole

    accounts_in(root).people.set_role(name, user, None if role == "none" else NamespaceRole(role))
    output.say(f"{user} {'left' if role == 'none' else f'is {role} in'} {name}")
