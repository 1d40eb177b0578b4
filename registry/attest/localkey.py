"""Signing with a P-256 key in a file, for sites without an identity provider or a way out to the internet.

The bundle is the one Sigstore uses, with a hint at the key where the certificate would stand. There is no transparency
log: whoever holds the key can sign anything, unseen. Nor is there a time, but for that of a timestamp authority, where
one is asked: without it, they can date it at will.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry.attest import timestamp
from registry.attest.bundle import MEND, Bundle, Envelope, Kind, pae, unlogged
from registry.attest.signature import SignedByKey
from registry.attest.signers import PublicKey, normal_pem
from registry.attest.statement import PAYLOAD_TYPE, Statement
from registry.attest.timestamp import TimestampService
from registry.errors import CredentialsError, InputError, SignatureError

PASSWORD_VARIABLE = "GLASSHOUSE_KEY_PASSWORD"
"""The environment variable with the key file's password, where it has one."""
ALGORITHM = ec.ECDSA(hashes.SHA256())
MAX_KEY_BYTES = 64 << 10


class KeySigner:
    """Signs with the private key of a PEM file. Law: what it signs verifies under `public_key`."""

    def __init__(self, path: Path, stamps: TimestampService | None = None) -> None:
        """stamps: asked for a timestamp of each signature.

        Raises InputError for a file that holds no P-256 key, CredentialsError for a missing or wrong password.
        """
        self._key = _load(path)
        self._stamps = stamps
        self.public_key = PublicKey(pem=normal_pem(self._key.public_key()).decode())

    def sign(self, statement: Statement) -> bytes:
        """The bundle around `statement`. Raises Unavailable where the timestamp authority does not serve."""
        return self.bundle("publicKey", {"hint": self.public_key.sha256}, statement)

    def bundle(self, kind: Kind, vouching: Any, statement: Statement) -> bytes:
        """The bundle around `statement`, in which `vouching` says whose signature it is. Raises as `sign` does."""
        payload = statement.to_bytes()
        envelope = Envelope(payload, PAYLOAD_TYPE, self._key.sign(pae(PAYLOAD_TYPE, payload), ALGORITHM))
        return unlogged(kind, vouching, envelope, [self._stamps.stamp(envelope.signature)] if self._stamps else ())


def verify(bundle: Bundle, keys: tuple[PublicKey, ...], now: datetime) -> SignedByKey:
    """Which of `keys` signed the bundle, and when, if a timestamp that counts for it says. Raises SignatureError where
    none did, and for a timestamp of something else.

    The hint is not trusted to pick the key: it is nobody's word. It only makes the refusal easier to read.
    """
    for key in keys:
        try:
            key.key.verify(bundle.envelope.signature, bundle.envelope.signed, ALGORITHM)
        except InvalidSignature:
            continue
        good, _ = timestamp.trusted(timestamp.of(bundle), key.stampers, now)
        return SignedByKey(key.sha256, good[0] if good else None)
    expected = " or ".join(map(str, keys))
    raise SignatureError(
        f"the signature does not verify with {expected}; it says it was made with key {hint(bundle)!r}", mend=MEND
    )


def hint(bundle: Bundle) -> str | None:
    """What a bundle by a bare key says of that key, at most 80 characters, unproven; None where it says nothing."""
    match bundle.material.get("publicKey"):
        case {"hint": str(named)}:
            return named[:80]
    return None


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    password = os.environ.get(PASSWORD_VARIABLE)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_KEY_BYTES)
        key = serialization.load_pem_private_key(data, password.encode() if password else None)
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}", mend="check the path and its mode") from problem
    except TypeError as problem:  # a password is given for a plain key, or none for an encrypted one
        raise CredentialsError(f"{path}: {problem}", mend=f"set {PASSWORD_VARIABLE}, or unset it") from problem
    except (ValueError, UnsupportedAlgorithm) as problem:
        if password:
            raise CredentialsError(
                f"{path} does not open with the password in {PASSWORD_VARIABLE}", mend=f"correct {PASSWORD_VARIABLE}"
            ) from problem
        _refuse(path, f"it cannot be read: {problem}")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        _refuse(path, "it is of another kind")
    return key


def _refuse(path: Path, found: str) -> NoReturn:
    raise InputError(
        f"{path}: a P-256 private key in PEM is expected: {found}",
        mend="make one: openssl ecparam -name prime256v1 -genkey -noout -out private.pem",
    )
