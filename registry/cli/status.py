"""`glasshouse release status`: say, signed, that a release is active, superseded or yanked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from registry.cli import output, signing
from registry.cli.verify import Endpoint
from registry.errors import InputError

EXAMPLE = 'Example: glasshouse release status releases/model/v1.0.0 --say yanked --reason "wrong licence" --publish'


@signing.grouped
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The signed release that it is about.")],
    say: Annotated[Literal["active", "superseded", "yanked"], typer.Option("--say", help="How it stands now.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for a reader.")],
    successor: Annotated[
        str | None, typer.Option("--successor", help="With superseded: the version to go to, such as v1.0.1.")
    ] = None,
    valid_days: Annotated[
        float | None,
        typer.Option("--valid-days", help="For how many days it is to be relied on.", min=0.01, max=36_500),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", help="Where to write the bundle; others give it by --attestation.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put it on the branch `status` of the release's repository.")
    ] = False,
    endpoint: Endpoint = None,
    *,
    who: signing.Signing,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be signed, change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Say, signed, whether a release still stands. Who verifies it goes by its signers' newest word, or a yank."""
    from registry.files import write_atomic
    from registry.hub.client import HubClient
    from registry.release import status as standings

    if out is None and not publish:
        raise InputError("the signed word goes nowhere", mend="give --publish, or --output FILE, or both")
    hub = HubClient(endpoint) if publish and not dry_run else None
    bundle_of_release = standings.of_directory(folder)
    after = standings.link(bundle_of_release, hub) if hub else None
    said = standings.statement(bundle_of_release, say, reason, successor, after=after, valid_days=valid_days)
    signer = who.signer()
    facts = {"release": said.subjects[0].name, "standing": say, "signer": signing.name(signer)}
    if not dry_run:
        bundle = signer.sign(said)
        if out is not None:
            write_atomic(out, bundle)
            facts["bundle"] = str(out)
        if hub is not None:
            facts["published"] = standings.publish(said, bundle, hub)
    if as_json:
        output.data(facts)
        return
    places = [facts[place] for place in ("bundle", "published") if place in facts]
    words = f"{facts['release']} is {say}, {'would say' if dry_run else 'says'} {facts['signer']}"
    print(output.printable(f"{words}{', in ' + ' and '.join(places) if places else ''}"))
