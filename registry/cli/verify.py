"""`glasshouse verify`: is this release what its maintainer signed, and is there no gap back to its data?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from registry import variables
from registry.cli import output
from registry.cli.signing import TrustConfig, grouped
from registry.cli.tree import App
from registry.errors import GlasshouseError, InputError
from registry.files import read_text

if TYPE_CHECKING:
    from registry.attest.policy import Policy
    from registry.attest.verifier import Verifier

EXAMPLE = (
    "Example: glasshouse verify hf://org/model@v1.0.0 --identity ci@example.org --issuer https://issuer.example. "
    "Exit codes: 0 holds, 1 does not hold, 2 bad input, 3 could not check."
)
app = App()
TrustedRoot = Annotated[
    Path | None,
    typer.Option("--trusted-root", help="A Sigstore trusted root, kept from before: nothing is asked of the network."),
]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint", envvar=variables.HF_ENDPOINT, help="The Hub; by default the public one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@dataclass(frozen=True)
class Verifying:
    """Whom to trust: a policy file, or the one-line policy that the flags are; and by which root of trust."""

    identity: Annotated[str | None, typer.Option(help="Who must have signed: a mail address or a workflow's URI.")] = (
        None
    )
    issuer: Annotated[str | None, typer.Option(help="Who must vouch for that identity: the OIDC issuer's URL.")] = None
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="Who must vouch for that identity, instead: an X.509 authority's certificate (PEM)."),
    ] = None
    crl: Annotated[
        list[Path] | None,
        typer.Option("--crl", help="With --ca: a list (PEM or DER) of what it took back; may be given several times."),
    ] = None
    key: Annotated[Path | None, typer.Option("--key", help="A public key (PEM) that must have signed, instead.")] = None
    timestamp_ca: Annotated[
        Path | None,
        typer.Option(
            "--timestamp-ca", help="With --ca or --key: whose timestamps count, an RFC 3161 authority's root (PEM)."
        ),
    ] = None
    policy: Annotated[
        Path | None, typer.Option("--policy", help="A policy.yaml: who may sign, and what else a release must show.")
    ] = None
    trust_config: TrustConfig = None
    trusted_root: TrustedRoot = None

    @property
    def named(self) -> bool:
        """Whether the options say who may sign."""
        return any(each is not None for each in (self.policy, self.identity, self.issuer, self.ca, self.key))

    def verifier(self) -> Verifier:
        """What the options ask for. Raises InputError where they name nobody, or contradict each other."""
        from registry.attest.verifier import Verifier

        if self.trust_config and self.trusted_root:
            raise InputError("--trust-config and --trusted-root both name a trust root", mend="give one of them")
        return Verifier(self._policy(), self.trust_config or self.trusted_root)

    def _policy(self) -> Policy:
        from registry.attest import revocation
        from registry.attest.policy import Policy

        flags = (self.identity, self.issuer, self.ca, self.key, self.timestamp_ca, self.crl)
        if self.policy is not None:
            if any(flag is not None for flag in flags):
                raise InputError("--policy says who may sign", mend="give --policy alone, or the signer by flags alone")
            return Policy.load(self.policy)
        self._check_one_signer()
        if (self.crl and self.ca is None) or (self.timestamp_ca and self.ca is None and self.key is None):
            raise InputError(
                "--crl is of an authority, --timestamp-ca for its signatures or a key's",
                mend="give --ca, or --key, too",
            )
        signers: list[dict[str, Any]] = []
        stampers = {"timestampAuthorities": text(self.timestamp_ca)} if self.timestamp_ca else {}
        if self.ca is not None:
            lists = [revocation.read(path) for path in self.crl or ()]
            rule = {"kind": "certificate", "identity": self.identity or "", "authorities": text(self.ca), **stampers}
            signers.append(rule | {"revocationLists": lists})
        if self.issuer is not None or (self.identity is not None and self.ca is None):
            signers.append({"kind": "identity", "identity": self.identity or "", "issuer": self.issuer or ""})
        if self.key is not None:
            signers.append({"kind": "key", "pem": text(self.key), **stampers})
        return Policy.of({"signers": signers}, name="the flags")

    def _check_one_signer(self) -> None:
        """Raise InputError where the flags name two: whether one of them is enough would be anybody's guess."""
        ways = {"--issuer": self.issuer, "--ca": self.ca, "--key": self.key}
        named = [flag for flag, value in ways.items() if value is not None]
        if self.key is not None and self.identity is not None:
            named = ["--identity", *named]
        if len(named) > 1:
            raise InputError(
                f"{' and '.join(named)} name more than one signer, and flags name one",
                mend="name one of them; or give --policy policy.yaml, whose `threshold` says how many must have signed",
            )


@app.command("verify", epilog=EXAMPLE)
@grouped
def verify(
    reference: Annotated[str, typer.Argument(metavar="REF", help="hf://org/model@v1.0.0, or a directory.")],
    trust: Verifying,
    attestation: Annotated[
        list[Path] | None,
        typer.Option(help="What others signed of it (a bundle, or a folder of them): may be given several times."),
    ] = None,
    digest: Annotated[
        Literal["blake3", "sha256", "both"],
        typer.Option(help="By which digests files are compared; BLAKE3 only where it is signed."),
    ] = "blake3",
    companions: Annotated[
        bool, typer.Option("--companions", help="Fetch and hash what belongs to it in other repositories, too.")
    ] = False,
    bases: Annotated[
        bool,
        typer.Option("--bases", help="Fetch and verify the model that it was fine-tuned from, and its bases, too."),
    ] = False,
    base_policy: Annotated[
        Path | None,
        typer.Option("--base-policy", help="Who may sign bases, instead of whom the release's own record names."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End in 1, not 3, where something is UNKNOWN.")] = False,
    into: Annotated[
        Path | None, typer.Option("--output", help="Keep what is downloaded in this directory, unless it fails.")
    ] = None,
    hf_cache: Annotated[
        bool, typer.Option("--cache", help="Read it in the Hugging Face cache, where it lies; no network is asked.")
    ] = False,
    summary: Annotated[
        Path | None,
        typer.Option("--summary", help="Write a SLSA verification summary to this file; none where it is UNKNOWN."),
    ] = None,
    summary_key: Annotated[
        Path | None, typer.Option("--summary-key", help="Sign the summary with this private key (PEM).")
    ] = None,
    endpoint: Endpoint = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every check, not a line for each step.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify a release, step by step. Without a signer to expect there is no verification."""
    from registry import api

    checker = trust.verifier()
    if summary_key is not None and summary is None:
        raise InputError("--summary-key signs a summary, and none is asked for", mend="give --summary FILE, too")
    signer = api.KeySigner(summary_key) if summary_key else None
    with output.progress("fetching and hashing", _size(reference)) as progress:
        report = api.verify(
            reference, checker.policy, trust=checker.trust_root, attestations=attestation or (), companions=companions,
            bases=bases, base_policy=api.Policy.load(base_policy) if base_policy else None, digest=digest, into=into,
            hf_cache=hf_cache, summary=summary, summary_signer=signer, endpoint=endpoint, progress=progress,
        )  # fmt: skip
    if into is not None and not into.exists() and report.verdict is api.Verdict.FAIL:
        output.say(f"{into} is not there: the release fails, and what was downloaded is in {into}.failed")
    if summary is not None and not summary.exists():
        output.say("no summary is written: it could say PASSED or FAILED, and neither is known of these files")
    if as_json:
        output.data(report.as_json())
    else:
        (output.report if verbose else output.verification)(report)
    unknown = report.verdict is api.Verdict.UNKNOWN
    raise typer.Exit(api.Verdict.FAIL.exit_code if strict and unknown else report.verdict.exit_code)


def _size(reference: str) -> int | None:
    """Bytes that will be hashed, for a bar that knows its end; None where a Hub knows, or nobody looks at a bar."""
    from registry.manifest import walk

    if not sys.stderr.isatty() or "://" in reference:
        return None
    try:
        return sum(size for _, size in walk(Path(reference)))
    except (GlasshouseError, OSError):
        return None  # verification says what is wrong with it


def text(path: Path) -> str:
    """The text of a PEM file. Raises InputError for one that cannot be read."""
    return read_text(path, mend="give the path of a PEM file")
