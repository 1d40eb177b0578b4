"""Signing with a key in a file, for sites without an identity provider or a way out to the internet.

The bundle is the one Sigstore uses, with a hint at the key where the certificate would stand. There is no transparency
log: whoever holds the key can sign anything, unseen. Nor is there a time, but for that of a timestamp authority, where
one is asked: without it, they can date it at will.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from registry.attest import curves, timestamp
from registry.attest.bundle import MEND, Bundle, Envelope, Kind, pae, unlogged
from registry.attest.signature import SignedByKey
from registry.attest.signers import PublicKey, normal_pem
from registry.attest.statement import PAYLOAD_TYPE, Statement
from registry.attest.timestamp import TimestampService
from registry.errors import CredentialsError, InputError, SignatureError
from registry.files import read_bytes
from registry.variables import KEY_PASSWORD

CURVE = ec.SECP256R1()
PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the curve's field, and that of its group (SEC 2 version 2.0, section 2.4.2)."""
MAX_KEY_BYTES = 64 << 10


class KeySigner:
    """Signs with the private key of a PEM file. Law: what it signs verifies under `public_key`."""

    def __init__(self, path: Path, stamps: TimestampService | None = None) -> None:
        """stamps: asked for a timestamp of each signature.

        Raises InputError for a file that holds no such key, CredentialsError for a missing or wrong password.
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
        envelope = Envelope(
            payload, PAYLOAD_TYPE, self._key.sign(pae(PAYLOAD_TYPE, payload), curves.algorithm(self._key))
        )
        return unlogged(kind, vouching, envelope, [self._stamps.stamp(envelope.signature)] if self._stamps else ())


def verify(bundle: Bundle, keys: tuple[PublicKey, ...], now: datetime) -> SignedByKey:
    """Which of `keys` signed the bundle, and when, if a timestamp that counts for it says. Raises SignatureError where
    none did, and for a timestamp of something else.

    The hint is not trusted to pick the key: it is nobody's word. It only makes the refusal easier to read.
    """
    for key in keys:
        try:
            key.key.verify(bundle.envelope.signature, bundle.envelope.signed, curves.algorithm(key.key))
        except InvalidSignature:
            continue
        good, _ = timestamp.trusted(timestamp.of(bundle), key.stampers, now)
        return SignedByKey(key.sha256, good[0] if good else None)
    expected = " or ".join(map(str, keys))
    raise SignatureError(
        f"the signature does not verify with {expected}; it says it was made with key {hint(bundle)!r}", mend=MEND
    )


def see(bundle: Bundle) -> PublicKey | None:
    """The key that signed the bundle, as far as the bundle tells; None where it does not.

    A signature verifies under two keys, which it tells, and the hint is the digest of one of them: so it cannot name
    another's key, nor one that did not sign. Which of the two it names is nobody's word but the bundle's. Keys of other
    curves than P-256 are not told.
    """
    try:
        keys = [PublicKey(pem=normal_pem(key).decode()) for key in _two_keys(bundle.envelope)]
        (key,) = [key for key in keys if key.sha256 == hint(bundle)]
        key.key.verify(bundle.envelope.signature, bundle.envelope.signed, curves.algorithm(key.key))
    except (ArithmeticError, InvalidSignature, ValueError):
        return None
    return key


def _two_keys(envelope: Envelope) -> Iterator[ec.EllipticCurvePublicKey]:
    """The keys Q under which (r, s) verifies: r Q = s R - e G, for either point R whose x is r.

    Raises ArithmeticError or ValueError for no signature. Source: SEC 1 version 2.0, section 4.1.6.
    """
    r, s = decode_dss_signature(envelope.signature)
    digest, inverse = int.from_bytes(hashlib.sha256(envelope.signed).digest(), "big"), pow(r, -1, ORDER)
    one = ec.derive_private_key(-digest * inverse % ORDER, CURVE).public_key().public_numbers()
    point = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, b"\2" + r.to_bytes(32, "big"))
    x = ec.derive_private_key(s * inverse % ORDER, CURVE).exchange(ec.ECDH(), point)
    for sign in (b"\2", b"\3"):
        other = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sign + x).public_numbers()
        slope = (other.y - one.y) * pow(other.x - one.x, -1, PRIME) % PRIME
        across = (slope * slope - one.x - other.x) % PRIME
        up = (slope * (one.x - across) - one.y) % PRIME
        yield ec.EllipticCurvePublicNumbers(across, up, CURVE).public_key()


def hint(bundle: Bundle) -> str | None:
    """What a bundle by a bare key says of that key, at most 80 characters, unproven; None where it says nothing."""
    match bundle.material.get("publicKey"):
        case {"hint": str(named)}:
            return named[:80]
    return None


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    password = os.environ.get(KEY_PASSWORD)
    data = read_bytes(path, MAX_KEY_BYTES)
    try:
        key = serialization.load_pem_private_key(data, password.encode() if password else None)
    except TypeError as problem:  # a password is given for a plain key, or none for an encrypted one
        raise CredentialsError(f"{path}: {problem}", mend=f"set {KEY_PASSWORD}, or unset it") from problem
    except (ValueError, UnsupportedAlgorithm) as problem:
        if password:
            raise CredentialsError(
                f"{path} does not open with the password in {KEY_PASSWORD}",
                mend=f"correct {KEY_PASSWORD}",
            ) from problem
        _refuse(path, f"it cannot be read: {problem}")
    if not curves.is_private(key):
        _refuse(path, "it is of another kind")
    return key


def _refuse(path: Path, found: str) -> NoReturn:
    raise InputError(
        f"{path}: a {curves.NAMES} private key in PEM is expected: {found}",
        mend="make one: openssl ecparam -name prime256v1 -genkey -noout -out private.pem",
    )
