"""Certificate revocation lists: which certificates an authority took back before their end.

A list is brought by the verifier; nothing here asks a network. Bringing one asks the question, of each certificate from
the signer's up to the authority: then each must be answered for by a list of whoever issued it, signed by its key.

Laws: a certificate that such a list names is refused, however old the list, unless a trusted timestamp shows a
signature from before. One that none names passes only by a list that is current today, or was on the certificate's last
day if that is over: later lists may leave it out. Otherwise nobody knows, which is Unavailable and never a pass.
Source: RFC 5280, sections 5 and 6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from registry.attest import x509_path
from registry.attest.signature import Stamped
from registry.errors import InputError, Unavailable
from registry.files import read_bytes

MAX_BYTES = 4 << 20
"""The largest list, in DER: about 100,000 certificates."""
MAX_TEXT = MAX_BYTES * 3 // 2
"""The largest list in PEM."""
MAX_LISTS = 16
BEGIN = b"-----BEGIN X509 CRL-----"
PARTIAL = (ExtensionOID.DELTA_CRL_INDICATOR, ExtensionOID.ISSUING_DISTRIBUTION_POINT)
"""Extensions of a list that does not speak of every certificate of its issuer, or that speaks of others'."""
MEND = "fetch the authority's newest complete list, and give that: --crl FILE, or revocationLists in the policy"

KEYS = (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey)
BROKEN = (hashes.MD5, hashes.SHA1)

List = x509.CertificateRevocationList


def load(data: bytes, *, name: str = "the revocation list") -> List:
    """The list in `data`, PEM or DER. Raises InputError, which calls it `name`, unless it is whole and says its end."""
    if len(data) > (MAX_TEXT if BEGIN in data else MAX_BYTES):
        raise InputError(f"{name} has more than the {MAX_BYTES} bytes allowed", mend=MEND)
    try:
        with x509_path.strictly():
            if data.count(BEGIN) > 1:
                raise ValueError("it holds several; give each by itself")
            found = x509.load_pem_x509_crl(data) if BEGIN in data else x509.load_der_x509_crl(data)
            _check_whole(found)
    except x509_path.UNREADABLE as problem:
        raise InputError(f"{name} is not a list that can be used: {x509_path.words(problem)}", mend=MEND) from problem
    return found


def read(path: Path) -> str:
    """The list in the file at `path`, as PEM. Raises InputError as `load` does, also for a file that cannot be read."""
    return pem(load(read_bytes(path, MAX_TEXT, mend=MEND), name=path.name))


def pem(found: List) -> str:
    """The one PEM form of a list."""
    return found.public_bytes(Encoding.PEM).decode()


def check(path: Sequence[x509.Certificate], lists: Sequence[List], stamp: Stamped | None, now: datetime) -> None:
    """Pass where, by `lists`, no certificate of `path` below its last was taken back before `stamp`, or at all.

    Raises ValueError where one was, and Unavailable where the lists do not tell.
    """
    check_unlisted(path, lists, stamp)
    for certificate, issuer in pairwise(path):
        own = [found for found in lists if _is_of(found, issuer)]
        moment = min(now, certificate.not_valid_after_utc)
        if not any(_begin(found) <= moment < _end(found) for found in own):
            raise Unavailable(_silent(certificate, issuer, own, lists, moment), mend=MEND)


def check_unlisted(path: Sequence[x509.Certificate], lists: Sequence[List], stamp: Stamped | None = None) -> None:
    """Raise ValueError where one of `lists` names a certificate of `path`, taken back before `stamp`, or at all."""
    for certificate, issuer in pairwise(path):
        for found in lists:
            if _is_of(found, issuer):
                _check_unlisted(certificate, issuer, found, stamp)


def _check_whole(found: List) -> None:
    if not found.issuer.rdns:  # which is parsed now, when asked for
        raise ValueError("it names no issuer")
    if isinstance(found.signature_hash_algorithm, BROKEN):
        raise ValueError(f"it is signed by way of {found.signature_hash_algorithm.name}, which is broken")
    if found.next_update_utc is None or found.next_update_utc <= found.last_update_utc:
        raise ValueError("it does not say until when it holds")
    for extension in found.extensions:
        if extension.oid in PARTIAL or extension.critical:
            raise ValueError(f"it is not a complete list of one authority: it has the extension {extension.oid._name}")


def _is_of(found: List, issuer: x509.Certificate) -> bool:
    """Signed with the key of `issuer`, in its name; and by its keyUsage, where it has one, that may sign lists."""
    usage = x509_path.extension(issuer, x509.KeyUsage)
    key = issuer.public_key()
    if found.issuer != issuer.subject or not (usage is None or usage.crl_sign):
        return False
    try:
        return isinstance(key, KEYS) and found.is_signature_valid(key)
    except (UnsupportedAlgorithm, TypeError, ValueError):  # a key of another kind than the one it was signed with
        return False


def _check_unlisted(
    certificate: x509.Certificate, issuer: x509.Certificate, found: List, stamp: Stamped | None
) -> None:
    entry = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return
    since, why = entry.revocation_date_utc, "unspecified"
    for extension in entry.extensions:
        match extension.value:
            case x509.CRLReason(reason=reason):
                why = reason.value
            case x509.InvalidityDate() as known:
                since = min(since, known.invalidity_date_utc)
            case _ if extension.critical:
                raise ValueError(f"the list of {x509_path.name(issuer)} has an entry for it that is not understood")
    if stamp is None or stamp.bounds[1] >= since:
        shown = f"and it was {stamp}" if stamp else "and no timestamp shows that it signed before"
        raise ValueError(
            f"the certificate of {x509_path.name(certificate)} was revoked on {since:%Y-%m-%d %H:%M} UTC ({why}), "
            f"by the list of {x509_path.name(issuer)}, {shown}"
        )


def _silent(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    own: Sequence[List],
    lists: Sequence[List],
    moment: datetime,
) -> str:
    """Why `lists` do not tell whether `certificate` was taken back."""
    whose = f"no revocation list tells whether the certificate of {x509_path.name(certificate)} still holds"
    if own:
        spans = ", ".join(f"{_begin(found):%Y-%m-%d %H:%M} to {_end(found):%Y-%m-%d %H:%M}" for found in own[:4])
        return f"{whose}: a list that holds at {moment:%Y-%m-%d %H:%M} UTC is needed, those given hold from {spans}"
    named = any(found.issuer == issuer.subject for found in lists)
    if named:
        ours = x509_path.name(issuer)
        return f"{whose}: the list in the name of {ours} is not signed with its key, or it may not sign lists"
    return f"{whose}: a list by {x509_path.name(issuer)} is needed, and those given are by others"


def _begin(found: List) -> datetime:
    return found.last_update_utc


def _end(found: List) -> datetime:
    end = found.next_update_utc
    assert end is not None  # `load` takes no other
    return end
