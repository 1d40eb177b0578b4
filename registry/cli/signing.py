"""The options by which a command is told who signs, and what they build; and how options that belong together are one.

A command takes such a group as one parameter, whose type is a dataclass of options:

    @app.command()
    @signing.grouped
    def sign(folder: Folder, who: signing.Signing) -> None:
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from registry import variables
from registry.errors import CredentialsError, InputError
from registry.files import read_text

if TYPE_CHECKING:
    from registry.attest.signature import Signer
    from registry.attest.timestamp import TimestampService

TrustConfig = Annotated[
    Path | None,
    typer.Option(
        "--trust-config",
        help="A private Sigstore's trust config (`glasshouse trust fetch` writes one); without it, the public one.",
    ),
]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as typer is to see it: in the place of each parameter that is a dataclass, the options in that."""
    hints, groups = get_type_hints(command, include_extras=True), {}
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if not is_dataclass(kind):
            options.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=kind))
            continue
        groups[parameter.name] = [field.name for field in fields(kind)]
        inner = get_type_hints(kind, include_extras=True)
        options += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=inner[field.name]
            )
            for field in fields(kind)
        ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for group, names in groups.items():
            given[group] = hints[group](**{name: given.pop(name) for name in names})
        command(**given)

    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run


@dataclass(frozen=True)
class Signing:
    """Who signs: a key (by a certificate), else whoever a token names, the CI system knows, or logs in by a browser."""

    trust_config: TrustConfig = None
    identity_token: Annotated[
        str | None,
        typer.Option(
            "--identity-token",
            envvar=variables.SIGSTORE_ID_TOKEN,
            help="An OIDC token; prefer the file or the variable.",
        ),
    ] = None
    identity_token_file: Annotated[
        Path | None, typer.Option("--identity-token-file", help="A file that holds the OIDC token.")
    ] = None
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Sign with this private key (PEM) instead: no identity, no transparency log."),
    ] = None
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate", help="With --key: the certificate (PEM) that names its holder; no transparency log."
        ),
    ] = None
    certificate_chain: Annotated[
        Path | None,
        typer.Option("--certificate-chain", help="With --certificate: those between it and the authority (PEM)."),
    ] = None
    timestamp_url: Annotated[
        str | None,
        typer.Option(
            "--timestamp-url",
            help="With --key: an RFC 3161 authority that stamps each signature with the time; verifiers name its root.",
        ),
    ] = None

    def signer(self) -> Signer:
        """Raises InputError where the options contradict each other, and as the signer does that they name."""
        token = self.identity_token
        if self.key is not None:
            if self.trust_config or token or self.identity_token_file:
                raise InputError("--key signs without Sigstore", mend="give --key alone, or leave it out")
            return self._holder(self.key)
        if self.certificate or self.certificate_chain:
            raise InputError("a certificate signs nothing without its key", mend="give the private key too: --key FILE")
        if self.timestamp_url is not None:
            raise InputError(
                "--timestamp-url is for --key", mend="leave it out: a Sigstore instance has its own time, in its log"
            )
        if self.identity_token_file is not None:
            try:
                token = read_text(self.identity_token_file, mend="write the token there").strip()
            except InputError as problem:
                raise CredentialsError(problem.message, mend=problem.mend) from problem
        from registry.attest.sigstore.sign import SigstoreSigner

        return SigstoreSigner(self.trust_config, identity_token=token, browser=sys.stderr.isatty())

    def _holder(self, key: Path) -> Signer:
        stamps = self._stamps()
        if self.certificate is not None:
            from registry.attest.certificate import CertificateSigner

            return CertificateSigner(key, self.certificate, self.certificate_chain, stamps)
        if self.certificate_chain is not None:
            raise InputError(
                "--certificate-chain leads up from a certificate", mend="give that too: --certificate FILE"
            )
        from registry.attest.localkey import KeySigner

        return KeySigner(key, stamps)

    def _stamps(self) -> TimestampService | None:
        if self.timestamp_url is None:
            return None
        from registry.attest.timestamp import TimestampService

        return TimestampService(self.timestamp_url)


def name(chosen: Signer) -> str:
    """What a person calls `chosen`: an identity, or a key."""
    from registry.attest.certificate import CertificateSigner
    from registry.attest.localkey import KeySigner

    match chosen:
        case KeySigner():
            return str(chosen.public_key)
        case CertificateSigner():
            return f"{chosen.identity} (by certificate)"
    from registry.attest.sigstore.sign import SigstoreSigner

    if isinstance(chosen, SigstoreSigner):
        return chosen.identity
    raise TypeError(type(chosen))
