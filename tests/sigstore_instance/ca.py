"""Fulcio: certificates of ten minutes for whoever shows an identity token.

Source: sigstore/fulcio, docs/certificate-specification.md and docs/oid-info.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from asn1crypto import core
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.sigstore_instance.ctlog import CertificateLog
from tests.sigstore_instance.errors import Rejected
from tests.sigstore_instance.keys import SigningKey, kept_chain, kept_key
from tests.sigstore_instance.oidc import Identity

VALIDITY = timedelta(minutes=10)
ISSUER_RAW = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ISSUER_DER = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
CLAIMS = {
    name: ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}")
    for name, number in (("repository", 12), ("commit", 13), ("ref", 14), ("workflow", 18), ("run", 21))
}
"""Extensions that carry the claims of a CI run."""
EMBEDDED_SCTS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


class Fulcio:
    """A root, an intermediate under it, and the leaves it issues."""

    def __init__(self, folder: Path, log: CertificateLog) -> None:
        root_key, self._key = kept_key(folder / "fulcio-root.key"), kept_key(folder / "fulcio.key")
        root = authority("fulcio-root", root_key, None, root_key)
        self.chain = kept_chain(folder / "fulcio.pem", authority("fulcio", self._key, root, root_key), root)
        """The intermediate, then the root."""
        self._log = log

    def issue(self, request_pem: bytes, identity: Identity) -> list[str]:
        """The chain, leaf first, as PEM, that binds the key of the signing request to `identity`.

        Raises Rejected for a request that is malformed, not signed by its own key, or of a key that is not P-256.
        """
        leaf = self._leaf(_public_key(request_pem), identity)
        before_log = leaf.sign(self._key.private, hashes.SHA256())
        timestamps = self._log.timestamps(before_log.tbs_certificate_bytes, issuer=self._key)
        logged = leaf.add_extension(
            x509.UnrecognizedExtension(EMBEDDED_SCTS, core.OctetString(timestamps).dump()), critical=False
        ).sign(self._key.private, hashes.SHA256())
        return [c.public_bytes(serialization.Encoding.PEM).decode() for c in (logged, *self.chain)]

    def _leaf(self, key: ec.EllipticCurvePublicKey, identity: Identity) -> x509.CertificateBuilder:
        now = datetime.now(UTC).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.chain[0].subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + VALIDITY)
            .add_extension(usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public), critical=False)
            .add_extension(x509.SubjectAlternativeName([_name(identity.subject)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(ISSUER_RAW, identity.issuer.encode()), critical=False)
            .add_extension(
                x509.UnrecognizedExtension(ISSUER_DER, core.UTF8String(identity.issuer).dump()), critical=False
            )
        )
        for name, value in identity.claims.items():
            extension = x509.UnrecognizedExtension(CLAIMS[name], core.UTF8String(value).dump())
            builder = builder.add_extension(extension, critical=False)
        return builder


def authority(
    name: str,
    key: SigningKey,
    issuer: x509.Certificate | None,
    issuer_key: SigningKey,
    purpose: ObjectIdentifier | None = None,
) -> x509.Certificate:
    """A certificate of ten years for `key`: a root (no issuer), an intermediate, or (`purpose`) a service's leaf."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "throwaway Sigstore instance"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    now = datetime.now(UTC).replace(microsecond=0)
    is_ca = purpose is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca and issuer else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public), critical=False)
        .add_extension(usage(digital_signature=not is_ca, issuing=is_ca), critical=True)
    )
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    return builder.sign(issuer_key.private, hashes.SHA256())


def usage(*, digital_signature: bool, issuing: bool = False) -> x509.KeyUsage:
    """What a key may do: sign, or issue certificates."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issuing,
        crl_sign=issuing,
        encipher_only=False,
        decipher_only=False,
    )


def _name(subject: str) -> x509.GeneralName:
    """A mail address or a URI, as the subject is one or the other."""
    try:
        return x509.UniformResourceIdentifier(subject) if "://" in subject else x509.RFC822Name(subject)
    except ValueError as problem:
        raise Rejected(400, f"{subject!r} is neither a mail address nor a URI: {problem}") from problem


def _public_key(request_pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        request = x509.load_pem_x509_csr(request_pem)
        proven = request.is_signature_valid
        key = request.public_key()
    except (ValueError, InvalidSignature, UnsupportedAlgorithm) as problem:
        raise Rejected(400, f"the certificate signing request cannot be read: {problem}") from problem
    if not proven:
        raise Rejected(400, "the certificate signing request is not signed by its own key")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Rejected(400, "only P-256 keys are certified here")
    return key
