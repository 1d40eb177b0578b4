"""The options by which a command is told who signs and whom to trust, and what they build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.errors import CredentialsError, InputError

if TYPE_CHECKING:
    from registry.attest.signature import Signer

TrustConfig = Annotated[
    Path | None,
    typer.Option("--trust-config", help="A private Sigstore's trust configuration; without it, the public one."),
]
IdentityToken = Annotated[
    str | None,
    typer.Option(
        "--identity-token", envvar="SIGSTORE_ID_TOKEN", help="An OIDC token; prefer the file or the variable."
    ),
]
IdentityTokenFile = Annotated[
    Path | None, typer.Option("--identity-token-file", help="A file that holds the OIDC token.")
]
Key = Annotated[
    Path | None,
    typer.Option("--key", help="Sign with this P-256 private key (PEM) instead: no identity, no transparency log."),
]


def signer(trust_config: Path | None, token: str | None, token_file: Path | None, key: Path | None) -> Signer:
    """The signer that the options name: a key, else a token, else the CI's own credential, else a browser."""
    if key is not None:
        if trust_config or token or token_file:
            raise InputError("--key signs without Sigstore", mend="give --key alone, or leave it out")
        from registry.attest.localkey import KeySigner

        return KeySigner(key)
    if token_file is not None:
        try:
            token = token_file.read_text().strip()
        except (OSError, UnicodeError) as problem:
            raise CredentialsError(f"{token_file} cannot be read: {problem}", mend="write the token there") from problem
    from registry.attest.sigstore import SigstoreSigner

    return SigstoreSigner(trust_config, identity_token=token, browser=sys.stderr.isatty())


def name(chosen: Signer) -> str:
    """What a person calls `chosen`: an identity, or a key."""
    from registry.attest.localkey import KeySigner
    from registry.attest.sigstore import SigstoreSigner

    match chosen:
        case SigstoreSigner():
            return chosen.identity
        case KeySigner():
            return str(chosen.public_key)
    raise TypeError(type(chosen))
