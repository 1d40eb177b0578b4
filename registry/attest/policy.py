"""Who may sign. There is no "anybody": a policy names at least one signer, exactly.

Laws: an identity matches only itself (no prefix, no pattern, no folding of case), and only from its issuer;
a key matches only itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry.errors import InputError


@dataclass(frozen=True, slots=True)
class SigstoreIdentity:
    """A person or a workflow, as an issuer vouches for it.

    identity: the certificate's subject: a mail address, or a workflow's URI.
    issuer: the URL of the OpenID Connect issuer.
    Raises: InputError where either is empty.
    """

    identity: str
    issuer: str

    def __post_init__(self) -> None:
        if not self.identity or not self.issuer:
            raise InputError(
                "a signer is named by an identity and its issuer, both",
                mend="--identity maintainer@example.org --issuer https://accounts.google.com",
            )

    def __str__(self) -> str:
        return f"{self.identity} (by {self.issuer})"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A P-256 public key, for those without an identity provider.

    pem: SubjectPublicKeyInfo in PEM, as `normal_pem` writes it.
    Raises: InputError for anything else.
    """

    pem: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "pem", normal_pem(self.key).decode())

    @property
    def key(self) -> ec.EllipticCurvePublicKey:
        """The key itself."""
        try:
            key = serialization.load_pem_public_key(self.pem.encode())
        except (ValueError, UnsupportedAlgorithm) as problem:
            _refuse(f"it cannot be read: {problem}")
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            _refuse("it is of another kind")
        return key

    @property
    def sha256(self) -> str:
        """SHA-256 of `pem`: the hint that a bundle gives at its key (the convention of model_signing)."""
        return hashlib.sha256(self.pem.encode()).hexdigest()

    def __str__(self) -> str:
        return f"key sha256:{self.sha256}"


AllowedSigner = SigstoreIdentity | PublicKey
"""Who may sign: by an identity through Sigstore, or by a key."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may sign: any one of `signers`. Raises InputError where there is none."""

    signers: tuple[AllowedSigner, ...]

    def __post_init__(self) -> None:
        if not self.signers:
            raise InputError(
                "no signer is named, and there is no trusting just any",
                mend="name one: --identity WHO --issuer URL, or --key FILE",
            )

    @property
    def identities(self) -> tuple[SigstoreIdentity, ...]:
        """Those who sign through Sigstore."""
        return tuple(signer for signer in self.signers if isinstance(signer, SigstoreIdentity))

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """Those who sign with a bare key."""
        return tuple(signer for signer in self.signers if isinstance(signer, PublicKey))

    def __str__(self) -> str:
        return " or ".join(str(signer) for signer in self.signers)


def normal_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """The one PEM form of a public key."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _refuse(found: str) -> NoReturn:
    raise InputError(
        f"a P-256 public key in PEM is expected: {found}",
        mend="openssl ec -in private.pem -pubout -out public.pem",
    )
