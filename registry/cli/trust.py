"""`glasshouse trust`: who signed so far, a first policy from it, and a further signature on a release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli import output, signing
from registry.cli.tree import App
from registry.cli.verify import Endpoint, TrustedRoot, text

if TYPE_CHECKING:
    from registry.attest.verifier import Trust

app = App(help="Get to know the signers of releases.", no_args_is_help=True)

Reference = Annotated[str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, or a directory.")]
Json = Annotated[bool, typer.Option("--json", help="Print what was seen as JSON.")]


@dataclass(frozen=True)
class Looking:
    """By what to tell who signed."""

    trust_config: signing.TrustConfig = None
    trusted_root: TrustedRoot = None
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="The X.509 authority (PEM) to tell signers by, not the one that a release brings."),
    ] = None
    timestamp_ca: Annotated[
        Path | None,
        typer.Option("--timestamp-ca", help="An RFC 3161 authority's root (PEM): its timestamps tell when."),
    ] = None

    def trust(self) -> Trust:
        """Raises InputError for files that are none."""
        from registry.attest.verifier import Trust

        return Trust(
            self.trust_config or self.trusted_root,
            authorities=text(self.ca) if self.ca else None,
            stampers=text(self.timestamp_ca) if self.timestamp_ca else None,
        )


@app.command(epilog="Example: glasshouse trust show hf://org/model")
@signing.grouped
def show(reference: Reference, by: Looking, endpoint: Endpoint = None, as_json: Json = False) -> None:
    """Show who signed each past release of a repository, newest first, and where the signer changed."""
    from registry.hub.reference import parse
    from registry.verification import trust

    seen = trust.history(parse(reference), by.trust(), endpoint=endpoint)
    changed = seen.changes
    if as_json:
        releases = [sighting.as_json() for sighting in seen.sightings]
        output.data({"releases": releases, "changes": list(changed), "notLookedAt": list(seen.unseen)})
        return
    for sighting in seen.sightings:
        at = sighting.signer.signed_at if sighting.signer else None
        mark = "   <- another signer than before" if sighting.name in changed else ""
        print(output.printable(f"{sighting.name}  {f'{at:%Y-%m-%d}' if at else 'undated'}  {sighting.who}{mark}"))
    if seen.unseen:
        output.say(f"{len(seen.unseen)} older tags were not looked at.")
    output.say("This tells who signed, not whether they may: glasshouse verify does, by a policy.")


@app.command(epilog="Example: glasshouse trust pin hf://org/model@v1.0.0 > policy.yaml")
@signing.grouped
def pin(reference: Reference, by: Looking, endpoint: Endpoint = None) -> None:
    """Write a policy that trusts whoever signed this release: trust on first use, so compare it elsewhere."""
    from registry.hub.reference import parse
    from registry.verification import trust

    asked = parse(reference)
    print(trust.pin(asked, trust.sighting(asked, by.trust(), endpoint=endpoint)), end="")
    output.say("Trust on first use: compare these signers with what the maintainers say elsewhere.")


@app.command(
    epilog="Example: glasshouse trust fetch https://tuf.sigstore.example --root root.json --output sigstore.json"
)
def fetch(
    url: Annotated[str, typer.Argument(metavar="URL", help="The instance's TUF repository.")],
    out: Annotated[Path, typer.Option("--output", help="Where to write the trust config, for --trust-config.")],
    root: Annotated[
        Path | None, typer.Option("--root", help="Its root.json, from a place that you trust; needed the first time.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Fetch what a private Sigstore instance is trusted by; from then on, that file serves without a network."""
    from registry.attest.sigstore.tuf import seen_folder, trust_config
    from registry.digest import sha256_bytes
    from registry.files import write_atomic

    config = trust_config(url, root)
    write_atomic(out, config)
    if as_json:
        output.data({"path": str(out), "sha256": sha256_bytes(config), "cache": str(seen_folder())})
    else:
        print(output.printable(f"wrote {out}, the trust config that {url} serves now; give it by --trust-config"))


@app.command(epilog="Example: glasshouse trust cosign releases/model/v1.0.0 --output second.sigstore.json")
@signing.grouped
def cosign(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A release that you have verified.")],
    out: Annotated[Path, typer.Option("--output", help="Where to write the bundle; others give it by --attestation.")],
    who: signing.Signing,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, sign nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Sign a release's statement as one more signer, for policies that ask for several."""
    from registry.attest.bundle import Bundle
    from registry.attest.predicates import Release
    from registry.attest.statement import Statement
    from registry.errors import VerificationError
    from registry.files import write_atomic
    from registry.manifest import Manifest, compare
    from registry.records import layout
    from registry.verification.evidence import read_bundle
    from registry.verification.s2_bytes import listed_manifest

    statement = Statement.parse(Bundle.parse(read_bundle(folder / layout.RELEASE_ATTESTATION)).envelope.payload)
    found = Manifest.of_directory(folder).without(layout.COVERED_LAST)
    if difference := compare(listed_manifest(Release.of(statement)), found):
        raise VerificationError(
            f"the files are not those of the release statement: {difference}", mend="verify the release first"
        )
    signer = who.signer()
    facts = {"release": statement.subjects[0].name, "signer": signing.name(signer), "bundle": str(out)}
    if not dry_run:
        write_atomic(out, signer.sign(statement))
    if as_json:
        output.data(facts)
    else:
        words = f"{facts['release']} as {facts['signer']}, in {facts['bundle']}"
        print(output.printable(f"{'would sign' if dry_run else 'signed'} {words}"))
