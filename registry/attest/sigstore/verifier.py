"""Verifying what was signed with an identity, from a trust root and the bundle alone: no network is asked.

Law: a bundle is accepted only if every step of sigstore's client specification holds for it (time, certificate chain,
certificate log, transparency log, signature). Whether its signer is one who may sign is for the policy to say.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import ObjectIdentifier
from sigstore.errors import Error as SigstoreError
from sigstore.errors import VerificationError as SigstoreVerificationError
from sigstore.models import Bundle as SigstoreBundle
from sigstore.verify import Verifier

from registry import canonical
from registry.attest import x509_path
from registry.attest.bundle import MEND, Bundle
from registry.attest.signature import CiClaims, SignedByIdentity
from registry.attest.sigstore.config import first_line, trusted_root
from registry.errors import InputError, SignatureError

ISSUER_RAW = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ISSUER_DER = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
USERNAME = ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
"""Fulcio's extensions: the issuer in two encodings, and the kind of name that is neither mail address nor URI."""
CLAIMS = {
    name: ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}")
    for name, number in {"repository": 12, "commit": 13, "ref": 14, "workflow": 18, "run": 21}.items()
}
"""What Fulcio copies from a CI system's token (docs/oid-info.md), by the field of CiClaims."""

MALFORMED = (*x509_path.UNREADABLE, SigstoreError, struct.error)
"""What a bundle can raise that does not hold, or that is not even a bundle. None of it comes from a network."""


class SigstoreTrust:
    """A trust root, ready to verify many bundles."""

    def __init__(self, path: Path | None = None, *, refresh: bool = False) -> None:
        """Load the trusted root or trust config at `path`; None: of the public instance (`refresh`: ask for it anew).

        Raises InputError for a file that is neither, and Unavailable where no public root is to be had.
        """
        root = trusted_root(path, refresh=refresh)
        try:
            self._verifier = Verifier(trusted_root=root)
        except (SigstoreError, ValueError) as problem:
            raise InputError(
                f"the trust root {path or 'of the public instance'} lacks what verifying needs: {first_line(problem)}",
                mend="give the instance's complete trusted_root.json",
            ) from problem

    def signer(self, bundle: Bundle) -> SignedByIdentity:
        """Who signed the bundle. Raises SignatureError where any step does not hold."""
        certificate = _Certificate()
        with _as_signature_error():
            signed = SigstoreBundle.from_json(canonical.dumps(bundle.document))
            payload_type, payload = self._verifier.verify_dsse(signed, certificate)
            if (payload_type, payload) != (bundle.envelope.payload_type, bundle.envelope.payload):
                raise SigstoreVerificationError("the payload that was verified is not the payload that was read")
            return _signer(certificate, signed, bundle.material["tlogEntries"][0])


class _Certificate:
    """Stands where sigstore expects a policy, and notes whom the certificate names: exactly one identity and issuer.

    It decides nothing: the policy does, once all else holds. So a good signature by somebody else is told from a bad
    one.
    """

    identity: str
    issuer: str
    claims: CiClaims

    def verify(self, cert: x509.Certificate) -> None:
        """Note identity and issuer. Raises sigstore's VerificationError where either is missing or ambiguous."""
        names = list(cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        issuers = {
            extension.value.value.decode() if extension.oid == ISSUER_RAW else _der_text(extension.value.value)
            for extension in cert.extensions
            if extension.oid in (ISSUER_RAW, ISSUER_DER) and isinstance(extension.value, x509.UnrecognizedExtension)
        }
        if len(names) != 1 or len(issuers) != 1:
            raise SigstoreVerificationError(
                f"a certificate must name one identity by one issuer, found {len(names)} by {len(issuers)}"
            )
        self.identity, self.issuer = _text(names[0]), issuers.pop()
        self.claims = CiClaims(**{name: _extension(cert, oid) for name, oid in CLAIMS.items()})


def _extension(certificate: x509.Certificate, oid: ObjectIdentifier) -> str | None:
    for extension in certificate.extensions:
        if extension.oid == oid and isinstance(extension.value, x509.UnrecognizedExtension):
            return _der_text(extension.value.value)
    return None


def _text(name: x509.GeneralName) -> str:
    match name:
        case x509.RFC822Name() | x509.UniformResourceIdentifier():
            x509_path.check_shape(name)
            return name.value
        case x509.OtherName() if name.type_id == USERNAME:
            return _der_text(name.value)
    raise SigstoreVerificationError(f"a certificate must name a mail address, a URI or a user, found {name}")


def _der_text(der: bytes) -> str:
    return asn1.decode_der(str, der)


def _signer(certificate: _Certificate, signed: SigstoreBundle, entry: dict[str, Any]) -> SignedByIdentity:
    """The facts of a bundle that holds, none of them taken from a field that nobody signed.

    Rekor 1 signs its time and the entry's index in the whole log (the inclusion promise). Rekor 2 has no time and no
    promise: the index is the proof's, and the time that of the one timestamp there must be.
    """
    proof = entry["inclusionProof"]
    log, tree_size = proof["checkpoint"]["envelope"].split("\n")[:2]
    if tree_size != proof["treeSize"]:
        raise SigstoreVerificationError("the inclusion proof is for another tree size than the signed checkpoint")
    _check_note(proof["checkpoint"]["envelope"], log)
    integrated = int(entry.get("integratedTime") or 0)
    if entry.get("inclusionPromise") and integrated:
        index, when = int(entry["logIndex"]), datetime.fromtimestamp(integrated, tz=UTC)
    else:
        stamps = signed.verification_material.timestamp_verification_data
        if stamps is None or len(stamps.rfc3161_timestamps) != 1:
            raise SigstoreVerificationError("without an inclusion promise, exactly one signed timestamp is expected")
        index, when = int(proof["logIndex"]), stamps.rfc3161_timestamps[0].tst_info.gen_time
    return SignedByIdentity(
        certificate.identity, certificate.issuer, log, index, when.astimezone(UTC), certificate.claims
    )


def _check_note(note: str, log: str) -> None:
    """Raise unless the first signature under the checkpoint is spelt in the one way, by the log that it is of.

    Source: the signed note format (C2SP signed-note): `— <name> base64(<key hint> <signature>)`. The verifier finds the
    signature by its hint and does not look at the name, so two names would both verify.
    """
    dash, name, signature = note.partition("\n\n")[2].split("\n")[0].split(" ")
    if (dash, name) != ("\u2014", log.split(" ")[0]) or b64encode(b64decode(signature)).decode() != signature:
        raise SigstoreVerificationError("the checkpoint is not signed in the name of its log")


@contextmanager
def _as_signature_error() -> Iterator[None]:
    """What RFC 5280 forbids in a certificate, and the library only warns of for now, does not hold either."""
    try:
        with x509_path.strictly():
            yield
    except MALFORMED as problem:
        raise SignatureError(f"the signature does not hold: {first_line(problem)}", mend=MEND) from problem
