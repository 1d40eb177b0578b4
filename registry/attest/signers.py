"""Who may sign: each a rule that a signature's facts match or do not.

    identity     a person or a workflow, named exactly
    pattern      those whose whole name fits a pattern with a star or two, in a domain or an account that is named
    ci           a repository's pipeline, by what its certificate says of the run
    key          a public key, of P-256, P-384 or P-521
    certificate  whom an authority of the verifier's own names exactly

Laws: `identity` matches only itself (no prefix, no folding of case), and only from its issuer; `pattern` must fit the
whole name, and a star stands for no part that says whose the name is; a claim that `ci` names must be in the
certificate, exactly; a key matches only itself; `certificate` matches only that name, and only by one of those
authorities.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Annotated, Any, Literal, NoReturn, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import Field, StringConstraints, field_validator, model_validator

from registry.attest import curves, revocation, x509_path
from registry.attest.signature import SignedBy, SignedByCertificate, SignedByIdentity, SignedByKey
from registry.errors import InputError
from registry.records.record import Record

MAX_NAME = 1024
"""Characters of an identity that a pattern is tried on."""
STARS = 2
"""Stars in a pattern, at most: to match is quick, whatever the name."""
OWNED = re.compile(r"[^@/:\s]+@[^@*/:\s]+\.[^@*/:\s]+|https://[^/@*\s]+\.[^/@*\s]+/[^/@*\s]+/.+|spiffe://[^/@*\s]+/.+")
"""What a pattern looks like: the domain of a mail address, the host and the account of a URI, or the trust domain of a
SPIFFE ID stand in it without a star."""

Name = Annotated[str, StringConstraints(max_length=MAX_NAME), Field(json_schema_extra={"minLength": 1})]
"""`_both` refuses an empty one in better words than pydantic's; the schema says so too."""
Bundle = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_.@=-]{0,127}$")]
"""An attestation by its short name, such as `release`, `data` or `stage-train`, or `model.sig`."""


class SignerRule(Record, ABC):
    """What all rules have in common."""

    signs: tuple[Bundle, ...] | None = None
    """Which attestations this signer may sign, by their short names; None: any."""

    def as_json(self) -> dict[str, Any]:
        """The JSON object, without what it does not say."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def may_sign(self, name: str | None) -> bool:
        """Whether this rule speaks of the attestation `name` at all; None: of any."""
        return self.signs is None or name in self.signs

    @abstractmethod
    def matches(self, signer: SignedBy) -> bool:
        """Whether `signer` is one of those whom this rule means."""


class Unlogged(SignerRule, ABC):
    """What rules have in common of whom no log knows: only a timestamp shows when they signed."""

    timestamp_authorities: str | None = Field(None, max_length=100_000)
    """Root certificates, in PEM, of the RFC 3161 timestamp authorities whose word counts for when it was signed; and
    those between them and the stamps' own certificates, where stamps do not carry them."""

    @field_validator("timestamp_authorities")
    @classmethod
    def _normal_stampers(cls, pem: str | None) -> str | None:
        return None if pem is None else x509_path.pem(x509_path.load(pem))

    @property
    def stampers(self) -> tuple[x509.Certificate, ...]:
        """The timestamp authorities themselves; none where nobody's word counts."""
        return x509_path.load(self.timestamp_authorities) if self.timestamp_authorities else ()


class SigstoreIdentity(SignerRule):
    """A person or a workflow, as an issuer vouches for it."""

    kind: Literal["identity"] = "identity"
    """`identity`."""
    identity: Name
    """The certificate's subject, exactly: a mail address, or a workflow's URI."""
    issuer: Name
    """The URL of the OpenID Connect issuer, exactly."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _both(self.identity, self.issuer)
        return self

    def matches(self, signer: SignedBy) -> bool:
        """Same identity, same issuer."""
        return isinstance(signer, SignedByIdentity) and (signer.identity, signer.issuer) == (self.identity, self.issuer)

    def __str__(self) -> str:
        return f"{self.identity} (by {self.issuer})"


class IdentityPattern(SignerRule):
    """Everyone whose whole identity fits a pattern, as one issuer vouches for them.

    A star stands for any characters but `/` and `@`.
    """

    kind: Literal["pattern"] = "pattern"
    """`pattern`."""
    pattern: Name
    """`*@example.org`, or `https://github.com/org/model/.github/workflows/*@refs/tags/v*`: one star or two, and none in
    the domain of a mail address, nor in the host and the first part of the path of a URI."""
    issuer: Name
    """The URL of the OpenID Connect issuer, exactly."""

    @model_validator(mode="after")
    def _means_somebody(self) -> Self:
        _both(self.pattern, self.issuer)
        shown = f"the pattern {self.pattern[:80]!r}"
        if not 1 <= self.pattern.count("*") <= STARS:
            _refuse(f"{shown} has {self.pattern.count('*')} stars, and one or two are expected")
        if any(c in self.pattern for c in "\\[](){}|^$+?") and "://" not in self.pattern:
            _refuse(f"{shown} looks like a regular expression, and those are not read")
        if not OWNED.fullmatch(self.pattern):
            _refuse(f"{shown} fits just anybody: no domain, or no account on a host, stands in it without a star")
        return self

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile("[^/@]*".join(map(re.escape, self.pattern.split("*"))))

    def matches(self, signer: SignedBy) -> bool:
        """The pattern fits the whole identity; same issuer."""
        return (
            isinstance(signer, SignedByIdentity)
            and signer.issuer == self.issuer
            and len(signer.identity) <= MAX_NAME
            and self._expression.fullmatch(signer.identity) is not None
        )

    def __str__(self) -> str:
        return f"{self.pattern} (by {self.issuer})"


class CiWorkflow(SignerRule):
    """A pipeline of a repository, by the claims that Fulcio copied from its token into the certificate."""

    kind: Literal["ci"] = "ci"
    """`ci`."""
    issuer: Name
    """The CI system's OpenID Connect issuer, such as `https://token.actions.githubusercontent.com`."""
    repository: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
    """The repository's URL, such as `https://github.com/org/model`."""
    workflow: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] | None = None
    """The pipeline's file within it, such as `.github/workflows/release.yml`. Without it, any there will do."""
    ref: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] | None = None
    """The ref it ran on, such as `refs/heads/main`."""
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")] | None = None
    """The commit it ran on."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _both(self.repository, self.issuer)
        return self

    def matches(self, signer: SignedBy) -> bool:
        """Every claim that this rule names is in the certificate, and equal."""
        if not isinstance(signer, SignedByIdentity) or signer.issuer != self.issuer:
            return False
        claims = signer.claims
        file = (claims.workflow or "").rpartition("@")[0]
        return (
            claims.repository == self.repository
            and self.workflow in (None, file.removeprefix(f"{self.repository}/"))
            and self.ref in (None, claims.ref)
            and self.commit in (None, claims.commit)
        )

    def __str__(self) -> str:
        parts = (self.workflow, self.ref, self.commit)
        return f"{' '.join(part for part in (self.repository, *parts) if part)} (by {self.issuer})"


class PublicKey(Unlogged):
    """A public key (P-256, P-384 or P-521), for those without an identity provider: nothing logs what it signs."""

    kind: Literal["key"] = "key"
    """`key`."""
    pem: str = Field(max_length=10_000)
    """SubjectPublicKeyInfo in PEM."""

    @field_validator("pem", mode="before")
    @classmethod
    def _normal(cls, pem: object) -> object:
        return normal_pem(load_public_key(pem)).decode() if isinstance(pem, str) else pem

    @property
    def key(self) -> ec.EllipticCurvePublicKey:
        """The key itself."""
        return load_public_key(self.pem)

    @property
    def sha256(self) -> str:
        """SHA-256 of `pem`: the hint that a bundle gives at its key (the convention of model_signing)."""
        return hashlib.sha256(self.pem.encode()).hexdigest()

    def matches(self, signer: SignedBy) -> bool:
        """Signed by this key."""
        return isinstance(signer, SignedByKey) and signer.sha256 == self.sha256

    def __str__(self) -> str:
        return f"key sha256:{self.sha256}"


class CertificateHolder(Unlogged):
    """Whom an X.509 authority of your own names. Nothing logs what they sign."""

    kind: Literal["certificate"] = "certificate"
    """`certificate`."""
    identity: Name
    """The certificate's one alternative name, exactly: a mail address, a URI or a DNS name; of a certificate without
    any its subject, as RFC 4514 writes it (`CN=Release,O=Example`)."""
    authorities: str = Field(max_length=100_000)
    """The authority's certificate in PEM; several, one after the other, are alternatives."""
    revocation_lists: tuple[str, ...] = Field((), max_length=revocation.MAX_LISTS)
    """Certificate revocation lists: each the name of a file beside policy.yaml (PEM or DER), or its text in PEM. Where
    there are any, each certificate up to the authority must be answered for by a current list of its issuer."""

    @field_validator("authorities")
    @classmethod
    def _normal(cls, pem: str) -> str:
        return x509_path.pem(x509_path.load(pem))

    @field_validator("revocation_lists")
    @classmethod
    def _normal_lists(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(revocation.pem(revocation.load(text.encode("utf-8", "surrogatepass"))) for text in texts)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _both(self.identity, self.authorities)
        return self

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The authorities themselves."""
        return x509_path.load(self.authorities)

    @property
    def lists(self) -> tuple[revocation.List, ...]:
        """The revocation lists themselves."""
        return tuple(revocation.load(text.encode()) for text in self.revocation_lists)

    def matches(self, signer: SignedBy) -> bool:
        """Same name, by one of these authorities."""
        return (
            isinstance(signer, SignedByCertificate)
            and signer.identity == self.identity
            and any(signer.authority_sha256 == one.fingerprint(hashes.SHA256()).hex() for one in self.anchors)
        )

    def __str__(self) -> str:
        return f"{self.identity} (certified by {' or '.join(x509_path.name(one) for one in self.anchors)})"


AllowedSigner = Annotated[
    SigstoreIdentity | IdentityPattern | CiWorkflow | PublicKey | CertificateHolder, Field(discriminator="kind")
]
"""Who may sign: one of five kinds."""


def normal_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """The one PEM form of a public key."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_public_key(pem: str) -> ec.EllipticCurvePublicKey:
    """The key that `pem` holds, of one of the curves that sign. Raises InputError for anything else."""
    try:
        key = serialization.load_pem_public_key(pem.encode("utf-8", "surrogatepass"))
    except (ValueError, UnsupportedAlgorithm) as problem:
        _no_key(f"it cannot be read: {problem}")
    if not curves.is_public(key):
        _no_key("it is of another kind")
    return key


def _both(name: str, issuer: str) -> None:
    if not name or not issuer:
        raise InputError(
            "a signer needs both an identity and whoever vouches for it",
            mend="--identity maintainer@example.org, and --issuer https://accounts.google.com or --ca CA.pem",
        )


def _refuse(found: str) -> NoReturn:
    raise InputError(found, mend="write the part that tells your signers from all others: `*@example.org`")


def _no_key(found: str) -> NoReturn:
    raise InputError(
        f"a {curves.NAMES} public key in PEM is expected: {found}",
        mend="openssl ec -in private.pem -pubout -out public.pem",
    )
