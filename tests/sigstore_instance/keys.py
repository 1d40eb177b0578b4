"""P-256 keys and certificate chains that stay in the instance's folder, so that a second start is the same instance."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificates

from registry.files import write_atomic


class SigningKey:
    """A P-256 key that signs with ECDSA over SHA-256."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.private = private
        self.public = private.public_key()
        self.spki = self.public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.id = hashlib.sha256(self.spki).digest()
        """SHA-256 of the key's DER SubjectPublicKeyInfo: a log's id (RFC 6962, section 3.2)."""

    def sign(self, data: bytes) -> bytes:
        """The DER signature over `data`."""
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))

    def pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def kept_key(path: Path) -> SigningKey:
    """The key at `path`, made there (mode 0600) where there is none."""
    if path.exists():
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path} holds no elliptic-curve key; remove the folder to begin a new instance")
        return SigningKey(private)
    key = SigningKey(ec.generate_private_key(ec.SECP256R1()))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(key.pem())
    return key


def kept_chain(path: Path, *made: x509.Certificate) -> list[x509.Certificate]:
    """The certificates at `path`, leaf first; `made` is written there where there are none."""
    if not path.exists():
        write_atomic(path, b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in made))
    return load_pem_x509_certificates(path.read_bytes())


def der(certificate: x509.Certificate) -> bytes:
    """The DER bytes of `certificate`."""
    return certificate.public_bytes(serialization.Encoding.DER)
