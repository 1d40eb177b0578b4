"""Chains of X.509 certificates: whom a certificate names, what it may sign, and which authority answers for it.

The path is validated by `cryptography`, in Rust; what is asked of a signer's certificate beyond that is said here.
Source: RFC 5280, sections 4.2 and 6.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from registry.attest import curves
from registry.errors import InputError

MAX_LENGTH = 8
"""Certificates in a chain, the signer's own among them."""
MAX_NAME = 1024
"""Characters of a name."""
SIGNING = frozenset((ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE))
SHAPES = (
    (x509.RFC822Name, "mail address", re.compile(r"[^@\s/:]+@[^@\s/:]+")),
    (x509.UniformResourceIdentifier, "URI", re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+")),
    (x509.DNSName, "DNS name", re.compile(r"[A-Za-z0-9*_.-]+")),
)
"""Kind of an alternative name, its word, and what it looks like. No text looks like two of them, nor like a subject,
which has `=` before any colon: so a policy that writes a name says its kind."""

UNREADABLE = (
    CryptographyDeprecationWarning,
    InvalidSignature,
    UnsupportedAlgorithm,
    verification.VerificationError,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What a hostile certificate can raise when it is read."""

Extension = TypeVar("Extension", bound=x509.ExtensionType)


@contextmanager
def strictly() -> Iterator[None]:
    """Raise what `cryptography` only warns of for now: a certificate that RFC 5280 forbids, such as serial number 0.

    But for country codes of any length, which it would speak of on standard error: names are compared, not believed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        yield


def load(pem: str) -> tuple[x509.Certificate, ...]:
    """The certificates in a PEM text, at least one. Raises InputError for anything else."""
    try:
        with strictly():
            return tuple(_named(one) for one in x509.load_pem_x509_certificates(pem.encode("utf-8", "surrogatepass")))
    except UNREADABLE as problem:
        raise InputError(
            f"certificates in PEM are expected: {words(problem)}", mend="openssl x509 -in certificate.der -out ca.pem"
        ) from problem


def read(der: bytes) -> x509.Certificate:
    """The certificate that `der` is, of a chain or a stamp that anybody may have written. Raises one of UNREADABLE."""
    return _named(x509.load_der_x509_certificate(der))


def _named(certificate: x509.Certificate) -> x509.Certificate:
    """The same, its names read: the library parses them when they are asked for, and raises then."""
    _ = certificate.subject, certificate.issuer
    return certificate


def pem(certificates: Sequence[x509.Certificate]) -> str:
    """The one form in PEM of certificates, one after the other."""
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def identity(certificate: x509.Certificate) -> str:
    """Whom the certificate names: by its one alternative name (mail address, URI, DNS name), else by its subject.

    The subject is written as RFC 4514 has it, `CN=Release,O=Example`. Raises ValueError for no name, several, one that
    is not printable, or one that does not look like its kind: a mail address as a URI, say.
    """
    names = extension(certificate, x509.SubjectAlternativeName)
    match None if names is None else list(names):
        case None:
            text = certificate.subject.rfc4514_string()
        case [x509.RFC822Name() | x509.UniformResourceIdentifier() | x509.DNSName() as name]:
            text = name.value
            check_shape(name)
        case others:
            raise ValueError(f"a certificate must name one mail address, URI or DNS name, found {str(others)[:200]}")
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise ValueError(f"a certificate must name somebody in 1 to {MAX_NAME} printable characters, not {text[:80]!r}")
    return text


def check_shape(name: x509.GeneralName) -> None:
    """Raise ValueError for an alternative name that does not look like its kind, and could be taken for another."""
    for kind, word, shape in SHAPES:
        if isinstance(name, kind) and not shape.fullmatch(str(name.value)):
            raise ValueError(f"the certificate calls {str(name.value)[:80]!r} a {word}, and it is not one")


def signing_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """The key of a certificate that may sign releases. Raises ValueError for any other certificate.

    It must not be an authority's; one that says it is, and whose keyUsage does not let it certify, is not. It must have
    a keyUsage that allows signing, or an extendedKeyUsage for signing code; where it has both, both must allow it.
    """
    key = certificate.public_key()
    if not curves.is_public(key):
        raise ValueError(f"a certificate of a {curves.NAMES} key is expected")
    constraints = extension(certificate, x509.BasicConstraints)
    usage, extended = extension(certificate, x509.KeyUsage), extension(certificate, x509.ExtendedKeyUsage)
    if constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign):
        raise ValueError("it is an authority's certificate, and authorities do not sign releases")
    if usage is None and extended is None:
        raise ValueError("the certificate does not say that it may sign: it has neither keyUsage nor extendedKeyUsage")
    if usage is not None and not usage.digital_signature:
        raise ValueError("the certificate's keyUsage does not allow it to sign")
    if extended is not None and not SIGNING & set(extended):
        raise ValueError("the certificate's extendedKeyUsage does not allow it to sign code")
    return key


def path(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime
) -> list[x509.Certificate]:
    """From the first of `chain` up to one of `anchors`, through certificates of `chain` that are all valid at `now`.

    The first is alone where it certifies itself and is one of `anchors`: whoever named it trusts it, and no other.
    Raises VerificationError where there is no such path, and ValueError where a certificate of `chain` is not part of
    it: nobody would answer for that one.
    """
    found = _path(chain, anchors, now, AUTHORITIES)
    if len(found) < 2:
        _check_own(found[0])
    if unused := [certificate for certificate in chain if certificate not in found]:
        raise ValueError(f"the certificate of {name(unused[0])} is not part of the path, so nobody answers for it")
    return found


def _check_own(certificate: x509.Certificate) -> None:
    """Raise ValueError, or InvalidSignature, unless the certificate certifies itself."""
    if certificate.issuer != certificate.subject:
        raise ValueError(f"{name(certificate)} is not certified by an authority: the certificate given is its own")
    certificate.verify_directly_issued_by(certificate)


def timestamping_path(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime
) -> list[x509.Certificate]:
    """As `path`, from the certificate that signed a timestamp; what else is in `chain` does not matter.

    Raises VerificationError where there is no such path, and ValueError where its first may not sign timestamps.
    """
    usage = chain[0].extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or set(usage.value) != {ExtendedKeyUsageOID.TIME_STAMPING}:
        raise ValueError(f"the certificate of {name(chain[0])} is not one for timestamps alone")
    return _path(chain, anchors, at, STAMPERS)


def _path(
    chain: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
    authorities: verification.ExtensionPolicy,
) -> list[x509.Certificate]:
    builder = verification.PolicyBuilder().store(verification.Store(list(anchors))).time(at)
    builder = builder.max_chain_depth(MAX_LENGTH).extension_policies(ca_policy=authorities, ee_policy=LEAVES)
    return builder.build_client_verifier().verify(chain[0], list(chain[1:])).chain


def name(certificate: x509.Certificate) -> str:
    """The certificate's subject, in at most 200 printable characters."""
    text = certificate.subject.rfc4514_string()[:200]
    return text if text.isprintable() else ascii(text)


def extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    """That extension of the certificate, where it has one."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def words(problem: Exception) -> str:
    """What a library says, in a line, without the certificates that it prints."""
    text = str(problem).partition(" (encountered processing")[0].strip()
    return text.splitlines()[0][:600] if text else type(problem).__name__


def _may_certify(_: verification.Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    """Roots that openssl makes have no keyUsage, which then restricts nothing."""
    if usage is not None and not usage.key_cert_sign:
        raise ValueError(f"the keyUsage of {name(certificate)} does not allow it to certify")


def _certifies_signers(
    _: verification.Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    if usage is not None and not SIGNING & set(usage):
        raise ValueError(f"the extendedKeyUsage of {name(certificate)} does not allow it to certify who signs code")


def _is_authority(_: verification.Policy, certificate: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError(f"{name(certificate)} is not an authority")


_ANY = verification.Criticality.AGNOSTIC
LEAVES = verification.ExtensionPolicy.permit_all()
"""What the first certificate must have: nothing here, for `identity`, `signing_key` and `timestamping_path` say it."""
AUTHORITIES = (
    verification.ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(x509.KeyUsage, _ANY, _may_certify)
    .may_be_present(x509.ExtendedKeyUsage, _ANY, _certifies_signers)
)
"""What all others must have: what the web asks of authorities, but for what they certify."""
STAMPERS = verification.ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, _ANY, _is_authority)
"""What those above a timestamp authority's certificate must have. OpenSSL judges the same path by its own rules."""
