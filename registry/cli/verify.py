"""`glasshouse verify`: is this release what its maintainer signed, and is there no gap back to its data?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry.cli import output
from registry.cli.signing import TrustConfig
from registry.errors import InputError

EXAMPLE = (
    "Example: glasshouse verify hf://org/model@v1.0.0 --identity ci@example.org --issuer https://issuer.example. "
    "Exit codes: 0 holds, 1 does not hold, 2 bad input, 3 could not check."
)


def verify(
    reference: Annotated[str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, or a directory.")],
    identity: Annotated[
        str | None, typer.Option(help="Who must have signed: a mail address or a workflow's URI.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="Who must vouch for that identity: the OIDC issuer's URL.")] = None,
    key: Annotated[Path | None, typer.Option(help="A P-256 public key (PEM) that must have signed, instead.")] = None,
    trust_config: TrustConfig = None,
    trusted_root: Annotated[
        Path | None, typer.Option(help="A Sigstore trusted root, kept from before: nothing is asked of the network.")
    ] = None,
    into: Annotated[Path | None, typer.Option(help="Keep what is downloaded in this directory.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(envvar="HF_ENDPOINT", help="The Hub; by default the public one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify a release, step by step. Without a signer to expect there is no verification."""
    from registry.attest.policy import AllowedSigner, Policy, PublicKey, SigstoreIdentity
    from registry.attest.verify import Verifier
    from registry.audit.fetch import fetched
    from registry.audit.verify import verify as verify_release
    from registry.hub.reference import parse

    signers: list[AllowedSigner] = []
    if identity is not None or issuer is not None:
        signers.append(SigstoreIdentity(identity=identity or "", issuer=issuer or ""))
    if key is not None:
        signers.append(PublicKey(pem=_text(key)))
    if trust_config and trusted_root:
        raise InputError("--trust-config and --trusted-root both name a trust root", mend="give one of them")
    verifier = Verifier(Policy(signers=tuple(signers)), trust_config or trusted_root)
    asked = parse(reference)
    with (
        output.progress("fetching and hashing") as progress,
        fetched(asked, endpoint=endpoint, into=into, progress=progress) as place,
    ):
        report = verify_release(place.root, asked, place.words, verifier, progress)
    if as_json:
        output.data(report.as_json())
    else:
        output.report(report)
    raise typer.Exit(report.verdict.exit_code)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeError) as problem:
        raise InputError(f"{path} cannot be read: {problem}", mend="give the path of a PEM file") from problem
