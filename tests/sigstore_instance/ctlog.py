"""The certificate transparency log: its promises, which Fulcio embeds in each leaf.

Source: RFC 6962, sections 3.2 (the signed certificate timestamp) and 3.3 (how it is embedded).
"""

from __future__ import annotations

import hashlib
import struct
import time

from tests.sigstore_instance.keys import SigningKey

VERSION_1 = 0
CERTIFICATE_TIMESTAMP = 0
PRECERTIFICATE = 1
SHA256_ECDSA = b"\x04\x03"
NO_EXTENSIONS = b"\x00\x00"


class CertificateLog:
    """Signs a timestamp for each certificate about to be issued."""

    def __init__(self, key: SigningKey) -> None:
        self.key = key

    def timestamps(self, tbs_certificate: bytes, *, issuer: SigningKey) -> bytes:
        """A SignedCertificateTimestampList of one, over the DER TBSCertificate that lacks it."""
        milliseconds = int(time.time() * 1000)
        signed = (
            struct.pack("!BBQH", VERSION_1, CERTIFICATE_TIMESTAMP, milliseconds, PRECERTIFICATE)
            + hashlib.sha256(issuer.spki).digest()
            + len(tbs_certificate).to_bytes(3, "big")
            + tbs_certificate
            + NO_EXTENSIONS
        )
        timestamp = (
            struct.pack("!B32sQ", VERSION_1, self.key.id, milliseconds)
            + NO_EXTENSIONS
            + SHA256_ECDSA
            + _sized(self.key.sign(signed))
        )
        return _sized(_sized(timestamp))


def _sized(data: bytes) -> bytes:
    """`data` behind its length in two bytes."""
    return struct.pack("!H", len(data)) + data
