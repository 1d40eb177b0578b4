"""`glasshouse verify`: is this release what its maintainer signed, and is there no gap back to its data?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli import output
from registry.cli.signing import TrustConfig
from registry.errors import InputError

if TYPE_CHECKING:
    from registry.attest.policy import Policy
    from registry.attest.verify import Verifier
    from registry.audit.case import DigestMode

EXAMPLE = (
    "Example: glasshouse verify hf://org/model@v1.0.0 --identity ci@example.org --issuer https://issuer.example. "
    "Exit codes: 0 holds, 1 does not hold, 2 bad input, 3 could not check."
)
Identity = Annotated[str | None, typer.Option(help="Who must have signed: a mail address or a workflow's URI.")]
OidcIssuer = Annotated[str | None, typer.Option(help="Who must vouch for that identity: the OIDC issuer's URL.")]
PublicKeyFile = Annotated[
    Path | None, typer.Option("--key", help="A P-256 public key (PEM) that must have signed, instead.")
]
Authority = Annotated[
    Path | None,
    typer.Option("--ca", help="Who must vouch for that identity, instead: an X.509 authority's certificate (PEM)."),
]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="A policy.yaml: who may sign, and what else a release must show.")
]
TrustedRoot = Annotated[
    Path | None,
    typer.Option("--trusted-root", help="A Sigstore trusted root, kept from before: nothing is asked of the network."),
]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint", envvar="HF_ENDPOINT", help="The Hub; by default the public one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


def verify(
    reference: Annotated[str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, or a directory.")],
    identity: Identity = None,
    issuer: OidcIssuer = None,
    ca: Authority = None,
    key: PublicKeyFile = None,
    policy: PolicyFile = None,
    trust_config: TrustConfig = None,
    trusted_root: TrustedRoot = None,
    attestation: Annotated[
        list[Path] | None,
        typer.Option(help="What others signed of it (a bundle, or a folder of them): may be given several times."),
    ] = None,
    digest: Annotated[
        str, typer.Option(help="Compare files by `blake3` where it is signed, by `sha256`, or by `both`.")
    ] = "blake3",
    companions: Annotated[
        bool, typer.Option("--companions", help="Fetch and hash what belongs to it in other repositories, too.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End in 1, not 3, where something is UNKNOWN.")] = False,
    into: Annotated[Path | None, typer.Option(help="Keep what is downloaded in this directory.")] = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Verify a release, step by step. Without a signer to expect there is no verification."""
    from registry.audit.companions import on_hub
    from registry.audit.evidence import gather
    from registry.audit.fetch import fetched
    from registry.audit.verify import verify as verify_release
    from registry.hub.client import HubClient
    from registry.hub.reference import parse
    from registry.report import Verdict

    checker = verifier(identity, issuer, ca, key, policy, trust_config, trusted_root)
    mode = _mode(digest)
    asked = parse(reference)
    with (
        output.progress("fetching and hashing") as progress,
        fetched(asked, endpoint=endpoint, into=into, progress=progress) as place,
    ):
        report = verify_release(
            place.root, asked, place.words, checker, progress, digest=mode,
            gathered=lambda: gather(asked, place.root, attestation or (), endpoint=endpoint),
            measure=on_hub(HubClient(endpoint), progress) if companions else None,
        )  # fmt: skip
    if as_json:
        output.data(report.as_json())
    else:
        output.report(report)
    unknown = report.verdict is Verdict.UNKNOWN
    raise typer.Exit(Verdict.FAIL.exit_code if strict and unknown else report.verdict.exit_code)


def verifier(
    identity: str | None,
    issuer: str | None,
    ca: Path | None,
    key: Path | None,
    policy: Path | None,
    trust_config: Path | None,
    trusted_root: Path | None,
) -> Verifier:
    """What the options ask for. Raises InputError where they name nobody, or contradict each other."""
    from registry.attest.verify import Verifier

    if trust_config and trusted_root:
        raise InputError("--trust-config and --trusted-root both name a trust root", mend="give one of them")
    return Verifier(_policy(identity, issuer, ca, key, policy), trust_config or trusted_root)


def _policy(identity: str | None, issuer: str | None, ca: Path | None, key: Path | None, policy: Path | None) -> Policy:
    """The policy file; or the one-line policy that the flags are."""
    from registry.attest.policy import Policy

    if policy is not None:
        if any(flag is not None for flag in (identity, issuer, ca, key)):
            raise InputError("--policy says who may sign", mend="give --policy alone, or the signer by flags alone")
        return Policy.load(policy)
    signers: list[dict[str, Any]] = []
    if ca is not None:
        signers.append({"kind": "certificate", "identity": identity or "", "authorities": _text(ca)})
    if issuer is not None or (identity is not None and ca is None):
        signers.append({"kind": "identity", "identity": identity or "", "issuer": issuer or ""})
    if key is not None:
        signers.append({"kind": "key", "pem": _text(key)})
    return Policy.of({"signers": signers}, name="the flags")


def _mode(digest: str) -> DigestMode:
    match digest:
        case "blake3" | "sha256" | "both":
            return digest
    raise InputError(f"--digest {digest[:40]}: there is no such digest", mend="--digest blake3, sha256 or both")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeError) as problem:
        raise InputError(f"{path} cannot be read: {problem}", mend="give the path of a PEM file") from problem
