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
    typer.Option(
        "--trust-config",
        help="A private Sigstore's trust config (`glasshouse trust fetch` writes one); without it, the public one.",
    ),
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
Certificate = Annotated[
    Path | None,
    typer.Option("--certificate", help="With --key: the certificate (PEM) that names its holder; no transparency log."),
]
CertificateChain = Annotated[
    Path | None,
    typer.Option("--certificate-chain", help="With --certificate: those between it and the authority (PEM)."),
]


def signer(
    trust_config: Path | None,
    token: str | None,
    token_file: Path | None,
    key: Path | None,
    certificate: Path | None,
    certificate_chain: Path | None,
) -> Signer:
    """Who signs: a key (by a certificate), else whoever a token names, the CI system knows, or logs in by a browser."""
    if key is not None:
        if trust_config or token or token_file:
            raise InputError("--key signs without Sigstore", mend="give --key alone, or leave it out")
        return _holder(key, certificate, certificate_chain)
    if certificate or certificate_chain:
        raise InputError("a certificate signs nothing without its key", mend="give the private key too: --key FILE")
    if token_file is not None:
        try:
            token = token_file.read_text().strip()
        except (OSError, UnicodeError) as problem:
            raise CredentialsError(f"{token_file} cannot be read: {problem}", mend="write the token there") from problem
    from registry.attest.sigstore import SigstoreSigner

    return SigstoreSigner(trust_config, identity_token=token, browser=sys.stderr.isatty())


def _holder(key: Path, certificate: Path | None, further: Path | None) -> Signer:
    if certificate is not None:
        from registry.attest.certificate import CertificateSigner

        return CertificateSigner(key, certificate, further)
    if further is not None:
        raise InputError("--certificate-chain leads up from a certificate", mend="give that too: --certificate FILE")
    from registry.attest.localkey import KeySigner

    return KeySigner(key)


def name(chosen: Signer) -> str:
    """What a person calls `chosen`: an identity, or a key."""
    from registry.attest.certificate import CertificateSigner
    from registry.attest.localkey import KeySigner

    match chosen:
        case KeySigner():
            return str(chosen.public_key)
        case CertificateSigner():
            return f"{chosen.identity} (by certificate)"
    from registry.attest.sigstore import SigstoreSigner

    if isinstance(chosen, SigstoreSigner):
        return chosen.identity
    raise TypeError(type(chosen))
