"""`glasshouse hub`: what belongs to a Hub of one's own, besides serving it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from registry import variables
from registry.cli import organisations, output, tokens, users
from registry.cli.folder import Root
from registry.cli.signing import grouped
from registry.cli.tree import App
from registry.cli.verify import Endpoint, Verifying
from registry.errors import InputError

app = App(help="Look after a Hub of your own.", no_args_is_help=True)
app.add_typer(users.app, name="user")
app.add_typer(organisations.app, name="org")
app.add_typer(tokens.app, name="token")


OTHER = (
    "The Hub on the other side. Where it needs a token, "
    f"{variables.OTHER_HUB} names it, too, and {variables.OTHER_TOKEN} is the token."
)
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Verify the release, say what would be carried, change nothing.")
]
Release = Annotated[str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, a published release.")]


@app.command(epilog="Example: glasshouse hub push hf://org/model@v1.0.0 --to https://hub.example.org --key lab.pem")
@grouped
def push(
    reference: Release,
    trust: Verifying,
    to: Annotated[str, typer.Option("--to", envvar=variables.OTHER_HUB, help=OTHER)],
    endpoint: Endpoint = None,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Carry a release from your Hub to another, with its tag, checkpoints, audits and status; verified at both."""
    _carry(reference, trust, endpoint, to, dry_run=dry_run, as_json=as_json)


@app.command(epilog="Example: glasshouse hub pull hf://org/model@v1.0.0 --from https://huggingface.co --key lab.pem")
@grouped
def pull(
    reference: Release,
    trust: Verifying,
    source: Annotated[str, typer.Option("--from", envvar=variables.OTHER_HUB, help=OTHER)],
    to: Annotated[
        str | None, typer.Option("--to", envvar=variables.HF_ENDPOINT, help="Your Hub; by default the public one.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Carry a release from another Hub to yours, with its tag, checkpoints, audits and status; verified at both."""
    _carry(reference, trust, source, to, dry_run=dry_run, as_json=as_json)


def _carry(
    reference: str, trust: Verifying, source: str | None, target: str | None, *, dry_run: bool, as_json: bool
) -> None:
    import tempfile

    from registry import api
    from registry.hub.client import HubClient
    from registry.hub.reference import HubReference, parse
    from registry.release import copying

    asked, checker = parse(reference), trust.verifier()
    if not isinstance(asked, HubReference):
        raise InputError(f"{reference} is a directory", mend="glasshouse release publish DIR puts it on a Hub")
    here, there = HubClient(source), HubClient(target)
    if here.endpoint == there.endpoint:
        raise InputError(f"{here.endpoint} is both Hubs", mend="name the other one: --from, or --to")

    def verified(endpoint: str, into: Path | None = None) -> None:
        with output.progress(f"verifying at {endpoint}") as progress:
            api.verify(
                reference, checker.policy, trust=checker.trust_root, endpoint=endpoint, into=into, progress=progress,
                companions=True,  # what belongs to it is carried, and is looked at on both sides
            ).require()  # fmt: skip

    with tempfile.TemporaryDirectory(prefix="glasshouse-") as scratch:
        folder = Path(scratch) / "release"
        verified(here.endpoint, folder)
        wanted = copying.plan(asked, folder, here, there)
        if not dry_run:
            output.say(str(wanted))
            with output.progress("sending", wanted.size) as progress:
                copying.carry(wanted, folder, here, there, progress)
    if not dry_run:
        verified(there.endpoint)
    if as_json:
        output.data(wanted.as_json() | {"verified": not dry_run, "dryRun": dry_run})
    else:
        print(f"would carry {wanted}" if dry_run else f"{asked} verifies at {there.endpoint} as at {here.endpoint}")


@app.command(epilog="Example: glasshouse hub usage --root ./hub")
def usage(
    root: Root,
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
    root: Root,
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
