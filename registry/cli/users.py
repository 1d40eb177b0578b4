"""`glasshouse hub user`: who there is on a server of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli import output
from registry.cli.folder import Json, Root, accounts_in
from registry.cli.tree import App
from registry.errors import InputError

if TYPE_CHECKING:
    from registry.server.access.people import ProvidedIdentity

app = App(help="Make and remove the users of `glasshouse serve`.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the user.")]


@app.command(epilog="Example: glasshouse hub user create alice --root ./hub")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Their name, and that of their own namespace.")],
    root: Root,
    admin: Annotated[bool, typer.Option("--admin", help="Let them do everything.")] = False,
    subject: Annotated[
        str | None, typer.Option(help="Who signs in as them at the provider of oidc.json: `sub`, exactly.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a user. They sign in at the provider, or by a password, and make their tokens themselves."""
    made = accounts_in(root).people.create_user(name, admin=admin, identity=_identity(root, subject))
    if as_json:
        output.data({"name": made.name, "admin": made.admin})
    elif subject is not None:
        print(f"{made.name} is a user, and signs in as {subject}")
    else:
        print(f"{made.name} is a user; next: glasshouse hub user password {made.name} --root {root}")


@app.command("list", epilog="Example: glasshouse hub user list --root ./hub")
def listing(root: Root, as_json: Json = False) -> None:
    """Show every user, what they are a member of, and how they sign in."""
    people = accounts_in(root).people.read()
    users = [each for each in people.users if each.removed is None]
    if as_json:
        output.data(
            [
                {
                    "name": each.name,
                    "admin": each.admin,
                    "roles": people.roles(each.name),
                    "password": each.password is not None,
                    "identity": each.identity and each.identity.as_json(),
                }
                for each in users
            ]
        )
        return
    for each in users:
        roles = ", ".join(f"{role} in {name}" for name, role in people.roles(each.name).items()) or "-"
        how = f"as {each.identity.subject}" if each.identity else "by password" if each.password else "not yet"
        print(output.printable(f"{each.name}  {'admin  ' if each.admin else ''}{roles}  signs in {how}"))


@app.command(epilog="Example: glasshouse hub user password alice --root ./hub")
def password(name: Name, root: Root) -> None:
    """Give a user a password, which is asked for, or read from standard input. Their sessions end."""
    from registry.server.access import passwords

    accounts = accounts_in(root)
    accounts.people.user(name)
    given = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if sys.stdin.isatty() else input()
    accounts.set_password(name, passwords.made(given))
    output.say(f"{name} signs in with that password")


@app.command(epilog="Example: glasshouse hub user change alice --root ./hub --admin")
def change(
    name: Name,
    root: Root,
    admin: Annotated[bool, typer.Option("--admin/--no-admin", help="Whether they may do everything.")],
) -> None:
    """Let a user do everything, or no longer: also with the tokens that they have."""
    accounts_in(root).people.change_user(name, event="user changed", admin=admin)
    output.say(f"{name} is {'an admin' if admin else 'not an admin'}")


@app.command(epilog="Example: glasshouse hub user bind alice --root ./hub --subject 248289761001")
def bind(
    name: Name,
    root: Root,
    subject: Annotated[str, typer.Option(help="Who they are at the provider of oidc.json: `sub`, exactly.")],
) -> None:
    """Say who signs in as a user, at the provider of identities. Their sessions end."""
    accounts = accounts_in(root)
    accounts.people.change_user(name, event="user bound", identity=_identity(root, subject))
    accounts.sessions.close_all(name)
    output.say(f"{subject} signs in as {name}")


@app.command(epilog="Example: glasshouse hub user remove alice --root ./hub")
def remove(name: Name, root: Root) -> None:
    """Let somebody be a user no more: tokens and sessions end, repositories stay, the name is not given again."""
    accounts_in(root).remove(name)
    output.say(f"{name} is a user no more")


def _identity(root: Path, subject: str | None) -> ProvidedIdentity | None:
    from registry.server.access import people, provider

    if subject is None:
        return None
    named = provider.named_in(root)
    if named is None:
        raise InputError(f"{root / provider.FILE} names no provider", mend="docs/how-to/people.md shows the file")
    return people.ProvidedIdentity(issuer=named.issuer, subject=subject)
