"""`glasshouse audit attest`: sign a verdict, and bring it to the release that it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli import output, signing
from registry.cli.verify import Endpoint

EXAMPLE = "Example: glasshouse audit attest verdict.json --publish"


@signing.grouped
def attest(
    verdict: Annotated[Path, typer.Argument(metavar="VERDICT", help="What `audit replay` or `audit rebuild` wrote.")],
    who: signing.Signing,
    into: Annotated[
        Path | None, typer.Option("--output", help="Where to write the bundle.", show_default="beside the verdict")
    ] = None,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Propose it to the release's repository: a pull request, no right to write."),
    ] = False,
    endpoint: Endpoint = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would be done, change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Sign a verdict: those who verify the release can then count on it (`verify --attestation`).

    With `--publish` it is proposed for the branch `audits` of the release; once that is merged, `verify` finds it.
    """
    from registry.audit.publish import proposal, propose, standing
    from registry.audit.verdict_file import VerdictFile, sign
    from registry.hub.client import HubClient

    statement = VerdictFile.read(verdict).signable()  # before anybody is asked who they are
    hub = HubClient(endpoint)
    asked = proposal(statement) if publish else None
    if asked is not None and (address := standing(hub, asked)):
        _told(as_json, f"proposed before: {address}", proposed=address)
        return
    signer = who.signer()
    facts = {"signer": signing.name(signer)}
    if dry_run:
        further = f", and propose {asked.path} to {asked.release.repository}" if asked else ""
        _told(as_json, f"would sign {verdict} as {facts['signer']}{further}", **facts)
        return
    bundle = sign(verdict, signer, into)
    facts["bundle"] = str(bundle)
    words = f"signed {bundle} as {facts['signer']}"
    if asked is not None:
        output.say(words)
        facts["proposed"] = propose(hub, asked, bundle.read_bytes())
        words = f"proposed: {facts['proposed']}"
    _told(as_json, words, **facts)


def _told(as_json: bool, words: str, **facts: str) -> None:
    if as_json:
        output.data(facts)
    else:
        print(words)
