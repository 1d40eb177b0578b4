"""Which keys sign: those of the three curves that OpenSSF Model Signing asks for, each with the hash that goes with it.

Source: OpenSSF Model Signing 1.0, section 4.2 (P-256, P-384 and P-521 are MUST).
"""

from __future__ import annotations

from typing import TypeGuard

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
"""Name of a curve -> the hash that is signed."""
NAMES = "P-256, P-384 or P-521"
"""The curves, in words."""


def is_public(key: object) -> TypeGuard[ec.EllipticCurvePublicKey]:
    """Whether `key` is a public key of one of the curves."""
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in HASHES


def is_private(key: object) -> TypeGuard[ec.EllipticCurvePrivateKey]:
    """Whether `key` is a private key of one of the curves."""
    return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in HASHES


def algorithm(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> ec.ECDSA:
    """How `key`, of one of the curves, signs."""
    return ec.ECDSA(HASHES[key.curve.name])
