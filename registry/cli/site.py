"""`glasshouse site build`: the pages of releases as plain files."""  # noqa: A005 - named as the command is

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli import output
from registry.cli.catalog import Json, whom_of
from registry.cli.signing import grouped
from registry.cli.tree import App
from registry.cli.verify import Endpoint, Verifying

app = App(help="Make pages of releases for any static host.", no_args_is_help=True)


@app.callback()
def site() -> None:
    """Make pages of releases for any static host."""


@app.command(
    "build", epilog="Example: glasshouse site build hf://org --output site --address https://models.example.org"
)
@grouped
def build(
    where: Annotated[
        str, typer.Argument(metavar="WHERE", help="hf://OWNER, hf://OWNER/NAME, a folder of releases, or a server's.")
    ],
    trust: Verifying,
    out: Annotated[
        Path, typer.Option("--output", help="The folder of the site. One that is there gives way only at the end.")
    ],
    address: Annotated[
        str | None, typer.Option("--address", help="Where it will stand: https://models.example.org. Feeds name it.")
    ] = None,
    downloads: Annotated[
        str | None,
        typer.Option("--downloads", help="The Hub that files are linked to.", show_default="the one of hf://"),
    ] = None,
    endpoint: Endpoint = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Build pages of releases as plain files: HTML, JSON, badges and feeds, with links that work below any address.

    They are the pages that `glasshouse serve` shows, of what anybody may see. Nothing is verified that a server has not
    verified: each page shows who signed, and the command that verifies.
    """
    from registry import extras

    with extras.needed("serve"):
        from registry.server.still.building import SiteSource, build
    from registry.hub.client.connection import PUBLIC_HUB
    from registry.hub.reference import SCHEME

    if downloads is None and where.startswith(SCHEME):
        downloads = endpoint or PUBLIC_HUB
    source = SiteSource(where, whom_of(trust), trust.trust_config or trust.trusted_root, endpoint)
    made = build(source, out, address=_plain(address), downloads=_plain(downloads), dry_run=dry_run)
    if as_json:
        output.data({**made.as_json(), "written": not dry_run})
        return
    told = made.as_json()
    for each in made.refused:
        output.say(output.printable(f"{each} cannot be shown: its page says why"))
    words = f"{told['pages']} pages, {told['files']} files, {told['bytes']:,} bytes"
    print(f"{out} would have {words}" if dry_run else f"{out} has {words}")


def _plain(address: str | None) -> str | None:
    """An address without a slash at its end. Raises InputError for one that is not http or https."""
    from registry.errors import InputError

    if address is not None and not address.startswith(("http://", "https://")):
        raise InputError(f"{address[:200]!r} is not the address of a site", mend="write https://HOST/PATH")
    return address and address.rstrip("/")
