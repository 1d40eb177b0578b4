"""What programs import, as `glasshouse`: verify, fetch, lint, sign and publish releases of open models.

    verify         is this release what its signer signed, without a gap back to its data?
    fetch          a directory to load a model from, that was verified
    lint           faults of any repository on a Hub
    sign, publish  for tools that cut releases

Verifying needs a `Policy`: who may sign. There is no verification without one.

>>> from pathlib import Path
>>> import glasshouse
>>> maintainer = glasshouse.PublicKey(pem=Path("public.pem").read_text())
>>> policy = glasshouse.Policy(signers=(maintainer,))
>>> report = glasshouse.verify("model", policy)
>>> print(report.verdict)
PASS

Laws: what goes wrong is a `GlasshouseError`, whose subclasses say of what kind it is. A function prints nothing, and
asks nothing of a person. What these names mean does not change within a major version; everything else in the package
may. Nothing is loaded before it is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.attest.certificate import CertificateSigner
    from registry.attest.localkey import KeySigner
    from registry.attest.policy import Policy
    from registry.attest.signature import Signer
    from registry.attest.signers import CertificateHolder, CiWorkflow, IdentityPattern, PublicKey, SigstoreIdentity
    from registry.attest.sigstore.sign import SigstoreSigner
    from registry.attest.timestamp import TimestampService
    from registry.digest import Progress
    from registry.errors import (
        CredentialsError,
        DigestMismatch,
        Fault,
        GlasshouseError,
        InputError,
        Malformed,
        Refused,
        SignatureError,
        SignerError,
        Unavailable,
        Unsupported,
        VerificationError,
    )
    from registry.lint.report import LintReport
    from registry.lint.rules import Finding, Level
    from registry.report import Check, Established, FailedReport, Report, Step, StepSummary, UnknownReport, Verdict
    from registry.verification.case import DigestMode
    from registry.verification.following import FollowBases

__all__ = [
    "CertificateHolder",
    "CertificateSigner",
    "Check",
    "CiWorkflow",
    "CredentialsError",
    "DigestMismatch",
    "Established",
    "FailedReport",
    "Fault",
    "Finding",
    "GlasshouseError",
    "IdentityPattern",
    "InputError",
    "KeySigner",
    "Level",
    "LintReport",
    "Malformed",
    "Policy",
    "PublicKey",
    "Refused",
    "Report",
    "SignatureError",
    "Signer",
    "SignerError",
    "SigstoreIdentity",
    "SigstoreSigner",
    "Step",
    "StepSummary",
    "TimestampService",
    "Unavailable",
    "UnknownReport",
    "Unsupported",
    "Verdict",
    "VerificationError",
    "fetch",
    "lint",
    "publish",
    "sign",
    "verify",
]

_HOMES = {
    "registry.attest.certificate": ("CertificateSigner",),
    "registry.attest.localkey": ("KeySigner",),
    "registry.attest.policy": ("Policy",),
    "registry.attest.signature": ("Signer",),
    "registry.attest.signers": ("CertificateHolder", "CiWorkflow", "IdentityPattern", "PublicKey", "SigstoreIdentity"),
    "registry.attest.sigstore.sign": ("SigstoreSigner",),
    "registry.attest.timestamp": ("TimestampService",),
    "registry.errors": (
        "CredentialsError", "DigestMismatch", "Fault", "GlasshouseError", "InputError", "Malformed", "Refused",
        "SignatureError", "SignerError", "Unavailable", "Unsupported", "VerificationError",
    ),
    "registry.lint.report": ("LintReport",),
    "registry.lint.rules": ("Finding", "Level"),
    "registry.report": (
        "Check", "Established", "FailedReport", "Report", "Step", "StepSummary", "UnknownReport", "Verdict",
    ),
}  # fmt: skip
"""Where the public classes are defined: the same as above, for when the program runs. A test compares the two."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """A public class, loaded. Raises AttributeError for any other name."""
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(home), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def verify(
    ref: str | Path,
    policy: Policy,
    *,
    trust: Path | None = None,
    attestations: Iterable[Path] = (),
    companions: bool = False,
    bases: bool = False,
    base_policy: Policy | None = None,
    digest: DigestMode = "blake3",
    into: Path | None = None,
    hf_cache: bool = False,
    summary: Path | None = None,
    summary_signer: Signer | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Verify a release, step by step, and report each check.

    `ref` is `hf://org/model@v1.0.0`, another revision of it, or a directory. `policy` says who may sign, and what else
    the release must show. `trust` is the Sigstore trusted root or trust config to tell signers by; None is the public
    instance's, as this machine knows it. `attestations` are bundles by others, or folders of them. `companions` also
    fetches and hashes what belongs to the release in other repositories. `bases` also fetches and verifies the model
    that it was fine-tuned from, and the bases of that: by `base_policy`, or else by the policy that the release's
    signed record names. `digest` says by which digests files are compared. `into` keeps what is downloaded there; what
    fails stands at `into` with `.failed` behind its name. With `hf_cache` nothing is downloaded: the release is read in
    the Hugging Face cache, where `hf download` and `from_pretrained` keep it, and nothing is asked of a network.
    `endpoint` is the Hub; None is HF_ENDPOINT, or the public one. `progress` is called with the number of bytes just
    done.

    `summary` is the file to write a SLSA verification summary to, for those who admit by policy: an in-toto statement,
    or, where `summary_signer` signs it, a bundle around one. It says PASSED or FAILED. Where the verdict is UNKNOWN,
    and where no file could be read, none is written, and an older one there is removed.

    What is wrong with the release is in the report. Raises InputError for a reference or file that is not what it must
    be, and Unavailable or CredentialsError where the release cannot be had.

    >>> report = glasshouse.verify("model", policy)
    >>> report.verdict is glasshouse.Verdict.PASS
    True
    >>> [check.reason for check in report.checks if check.subject == "signers"]
    ['1 of 1 signers that the policy names signed it; it asks for 1']
    """
    from registry.attest.verifier import Verifier
    from registry.hub.reference import parse
    from registry.verification.memory import Memory
    from registry.verification.request import Request

    measure = None
    if companions:
        from registry.hub.client import HubClient
        from registry.verification.companions import on_hub

        measure = on_hub(HubClient(endpoint), progress)
    request = Request(
        parse(str(ref)), Verifier(policy, trust), tuple(attestations), measure,
        _follow(bases, base_policy, endpoint, progress), digest, hf_cache, endpoint, progress, summary, summary_signer,
        Memory.here(),
    )  # fmt: skip
    request.begin()
    return request.verified(into)


def fetch(
    ref: str | Path,
    policy: Policy,
    *,
    trust: Path | None = None,
    attestations: Iterable[Path] = (),
    companion: str | None = None,
    into: Path | None = None,
    hf_cache: bool = False,
    trust_cache: bool = False,
    bases: bool = False,
    base_policy: Policy | None = None,
    summary: Path | None = None,
    summary_signer: Signer | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch a release, verify it, and only then give the directory that it lies in: plain files, ready to be loaded.

    It is downloaded at one commit, to `into`, or to a place of its own in GLASSHOUSE_CACHE (else in the user's folder
    of caches), and appears there after every check has passed. A second call downloads nothing, and verifies what is
    there: every byte is hashed again. With `trust_cache` a file that was not touched since it was hashed is not; its
    size, times and inode tell. A directory as `ref`, and with `hf_cache` what the Hugging Face cache keeps of the
    release, is verified where it lies, and given.

    `companion` is what belongs to the release in another repository, such as `org/model-GGUF` or
    `datasets/org/model-data`: once the release has passed, its directory is given instead. It is kept in the store,
    and every byte of it is compared with the signed record. What else the release announces is not looked at. The other
    arguments are those of `verify`.

    Raises FailedReport, a VerificationError, where the release does not hold, and UnknownReport, an Unavailable, where
    something could not be checked: `report` has each check. What is there already and fails stays as it is. Raises what
    `verify` raises besides.

    >>> folder = glasshouse.fetch("hf://org/model@v1.0.0", policy)
    >>> (folder / "model.safetensors").is_file()
    True
    """
    from registry.attest.verifier import Verifier
    from registry.errors import InputError
    from registry.hub.client import HubClient
    from registry.hub.reference import HubReference, parse
    from registry.verification.kept import Keeper
    from registry.verification.memory import Memory
    from registry.verification.request import Request

    asked = parse(str(ref))
    keeper = Keeper(HubClient(endpoint), trust_cache, companion and companion.removeprefix("hf://"), progress)
    request = Request(
        asked, Verifier(policy, trust), tuple(attestations), keeper, _follow(bases, base_policy, endpoint, progress),
        "blake3", hf_cache, endpoint, progress, summary, summary_signer, Memory.here(),
    )  # fmt: skip
    request.begin()
    if isinstance(asked, HubReference) and not hf_cache:
        folder = keeper.release(asked, request, into)
    else:
        with request.fetched(into) as found:
            request.report(found.tree, found.words, found.seconds).require()
            folder = found.root
    if companion is not None and keeper.companion is None:
        raise InputError(f"{ref} announces no {companion}", mend="see what belongs to it: glasshouse verify REF -v")
    return keeper.companion or folder


def _follow(bases: bool, policy: Policy | None, endpoint: str | None, progress: Progress | None) -> FollowBases | None:
    """What looks at bases, where that is asked for. Raises InputError for a policy that nobody would ask."""
    from registry.errors import InputError

    if bases:
        from registry.verification.following import FollowBases

        return FollowBases(endpoint, policy, progress)
    if policy is not None:
        raise InputError("a policy for bases, and nobody asked to look at them", mend="ask for bases, too: --bases")
    return None


def lint(ref: str, *, endpoint: str | None = None) -> LintReport:
    """Look for what has gone wrong in famous releases: equal steps, gaps, foreign shards, pickles, licences.

    `ref` is `hf://org/model`, anybody's. `endpoint` is the Hub; None is HF_ENDPOINT, or the public one. Reads trees,
    digests and headers of main and of every step; fetches no weights, and trusts nobody.

    Raises InputError for what is not a repository, and Unavailable or CredentialsError where it cannot be read.

    >>> found = glasshouse.lint("hf://org/model")
    >>> found.clean
    True
    """
    from registry.errors import InputError
    from registry.hub.client import HubClient
    from registry.hub.reference import HubReference, parse
    from registry.lint.report import look

    place = parse(ref)
    if not isinstance(place, HubReference):
        raise InputError(f"{ref} is a directory", mend="lint reads repositories: glasshouse audit lint hf://OWNER/NAME")
    return look(HubClient(endpoint), place.repository)


def sign(folder: Path, signer: Signer) -> None:
    """Sign a prepared release: its attestations, the release statement, and model.sig over everything.

    `folder` is what `glasshouse release prepare` laid out. `signer` is a `SigstoreSigner`, a `CertificateSigner`, a
    `KeySigner`, or whatever signs statements as they do. What was signed there before is replaced.

    Raises Refused for weights that are not those of its record, and what the signer raises.

    >>> glasshouse.sign(Path("prepared"), glasshouse.KeySigner(Path("private.pem")))
    >>> print(glasshouse.verify("prepared", policy).verdict)
    PASS
    """
    from registry.release.signing import sign as sign_release

    sign_release(folder, signer)


def publish(folder: Path, *, endpoint: str | None = None, progress: Progress | None = None) -> str:
    """Publish a signed release to the repository that its record names, and return its reference.

    One commit, its checksums compared, and only then the tag; an interrupted publication goes on where it stopped.
    `endpoint` is the Hub; None is HF_ENDPOINT, or the public one. The token is the one that `hf auth login` or
    HF_TOKEN left. `progress` is called with the number of bytes just hashed, and then of bytes just sent.

    What verification says of it is asked first. Raises Refused where that fails, where the release is not signed, has
    changed since, or stands there with other files;
    VerificationError where the Hub holds other bytes than were sent; CredentialsError and Unavailable.

    >>> glasshouse.publish(Path("model"))
    'hf://org/model@v1.0.0'
    """
    from registry.hub.client import HubClient
    from registry.release import self_check
    from registry.release.publishing import look, send

    hub = HubClient(endpoint)
    ready = look(folder, hub, progress)
    self_check.hold(self_check.report(folder))
    return str(send(ready, hub, progress))
