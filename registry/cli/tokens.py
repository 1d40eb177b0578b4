"""`glasshouse hub token`: who may do what on a server of one's own."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import typer

from registry.cli import output
from registry.cli.folder import Json, Root, accounts_in
from registry.cli.tree import App

app = App(help="Give out and take away the tokens of `glasshouse serve`.", no_args_is_help=True)

TRUST = (
    "Example: glasshouse hub token trust --root ./hub --repo org/model --audience https://hub.example.org "
    "--issuer https://token.actions.githubusercontent.com --subject repo:org/project:environment:release"
)


@app.command(epilog="Example: glasshouse hub token create ci --root ./hub --namespace lab --only lab/model --days 90")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: a user, made if missing.")],
    root: Root,
    role: Annotated[Literal["read", "write", "admin"], typer.Option(help="What it lets its holder do.")] = "write",
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", help="Make them a member of it, made if missing; may be given several times."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="What alone it is for: lab, or lab/model; several times.", show_default="all"),
    ] = None,
    label: Annotated[str, typer.Option(help="What it is for, in your words.")] = "",
    days: Annotated[int | None, typer.Option(help="How long it lives.", min=1, show_default="for ever")] = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it, this once: the server keeps only its hash. It holds at the next request."""
    from registry.server.access.tokens import Role

    seconds = None if days is None else days * 86_400
    made, token = accounts_in(root).issue(
        name, Role(role), tuple(namespace or ()), only=tuple(only) if only else None, label=label, seconds=seconds
    )
    if as_json:
        output.data({"id": made.id, "name": made.name, "role": str(made.role), "only": made.only, "token": token})
        return
    output.say(f"token {made.id} of {made.name}, {made.role} on {_places(made.only)}:")
    print(token)


@app.command("list", epilog="Example: glasshouse hub token list --root ./hub")
def listing(root: Root, as_json: Json = False) -> None:
    """Show every token's id, user, role, and what it is for; the tokens themselves are not kept."""
    tokens = accounts_in(root).tokens.list()
    if as_json:
        output.data([token.as_json() | {"sha256": None} for token in tokens])
        return
    for token in tokens:
        until = "for ever" if token.expires is None else time.strftime("until %Y-%m-%d", time.gmtime(token.expires))
        words = f"{token.id}  {token.role:5}  {token.name}  {_places(token.only)}  {until}  {token.label}"
        print(output.printable(words.rstrip()))


@app.command(epilog="Example: glasshouse hub token revoke 3f2a9c11d0b7 --root ./hub")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `glasshouse hub token list` shows it.")],
    root: Root,
    as_json: Json = False,
) -> None:
    """Take a token away. Every worker of a running server declines it from its next request on."""
    gone = accounts_in(root).tokens.revoke(token_id)
    if as_json:
        output.data({"id": gone.id, "name": gone.name})
    else:
        print(f"revoked {gone.id} of {gone.name}")


@app.command(epilog=TRUST)
def trust(
    root: Root,
    repo: Annotated[str, typer.Option(help="The one repository it may publish to: owner/name.")],
    issuer: Annotated[str, typer.Option(help="Who vouches for the workflow.")],
    subject: Annotated[str, typer.Option(help="Its exact subject: repo:org/project:environment:release.")],
    audience: Annotated[str, typer.Option(help="This server's address, as clients have it in HF_ENDPOINT.")],
    as_json: Json = False,
) -> None:
    """Let a CI workflow publish without a stored token: its identity buys one for an hour (Trusted Publishers)."""
    from registry.server.access import publishers

    row = {"repo": repo, "issuer": issuer, "subject": subject, "audience": audience}
    made = publishers.Publisher.from_json(row, name="the publisher")
    publishers.trust(root, made)
    if as_json:
        output.data(made.as_json())
    else:
        print(f"{subject} of {issuer} may publish to {repo}")


def _places(only: tuple[str, ...] | None) -> str:
    return "all that is theirs" if only is None else ", ".join(only)
