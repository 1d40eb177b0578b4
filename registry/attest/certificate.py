"""Signing with a certificate of one's own authority: for sites without a way out, that have an X.509 authority already.

The bundle is the one Sigstore uses, with the chain of certificates where Sigstore's own would stand; the stock
`model_signing verify certificate` accepts it. There is no transparency log: whoever holds the key can sign unseen, for
as long as the certificate lasts. Once it has ended, or was taken back, only a timestamp tells what was signed before
from what was signed after; without one that is trusted, nothing that it signed verifies any more.

Law: a bundle is accepted only if its chain leads to an authority that the policy names, through certificates that are
all part of that path, valid when a trusted timestamp says or else today, and not taken back before; and the first of
them may sign and did.
Source: OpenSSF Model Signing 1.0, the certificate method.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from registry.attest import curves, revocation, timestamp, x509_path
from registry.attest.bundle import MEND, Bundle
from registry.attest.localkey import KeySigner
from registry.attest.signature import SignedByCertificate, Stamped
from registry.attest.signers import CertificateHolder, normal_pem
from registry.attest.statement import Statement
from registry.attest.timestamp import Stamp, TimestampService
from registry.errors import CredentialsError, InputError, SignatureError, Unavailable
from registry.files import read_text


class CertificateSigner:
    """Signs with a key that a certificate speaks for. Law: what it signs verifies by the certificate's authority."""

    def __init__(
        self, key: Path, certificate: Path, further: Path | None = None, stamps: TimestampService | None = None
    ) -> None:
        """certificate: PEM, the signer's own first; what follows it, and `further`, leads up to the authority.
        stamps: asked for a timestamp of each signature.

        Raises InputError for files that are not what they must be or do not belong together, and CredentialsError for a
        missing or wrong password and for a certificate that is not valid today.
        """
        self._key = KeySigner(key, stamps)
        self._chain = [*_read(certificate), *(_read(further) if further else ())]
        own = self._chain[0]
        try:
            public = normal_pem(x509_path.signing_key(own)).decode()
            self.identity = x509_path.identity(own)
        except x509_path.UNREADABLE as problem:
            raise InputError(
                f"{certificate} cannot sign a release: {x509_path.words(problem)}",
                mend="ask the authority for a certificate with keyUsage digitalSignature, extendedKeyUsage codeSigning "
                "and one subjectAltName",
            ) from problem
        if public != self._key.public_key.pem:
            raise InputError(
                f"{certificate} is not the certificate of the key in {key}",
                mend="give the certificate that was issued for this key; in a chain, the signer's own comes first",
            )
        if not own.not_valid_before_utc <= datetime.now(UTC) <= own.not_valid_after_utc:
            raise CredentialsError(
                f"{certificate} is {_validity(own)}, not today", mend="ask the authority for a new certificate"
            )

    def sign(self, statement: Statement) -> bytes:
        """The bundle around `statement`. Raises Unavailable where the timestamp authority does not serve."""
        rows = [{"rawBytes": base64.b64encode(found.public_bytes(Encoding.DER)).decode()} for found in self._chain]
        return self._key.bundle("x509CertificateChain", {"certificates": rows}, statement)


def verify(
    bundle: Bundle, rules: Sequence[CertificateHolder], now: datetime
) -> tuple[SignedByCertificate, CertificateHolder | None]:
    """Whom the bundle's certificate names, and by which of `rules` they signed: the first by which all of it holds.

    None: it is a good signature by somebody whom none of them names. A rule answers by its own authorities, lists and
    timestamps: what holds by one is nothing to another that names the same holder.
    Raises SignatureError where the signature does not hold at `now`, the chain leads to none of those authorities, or
    a certificate in it was taken back; Unavailable where a rule's lists do not tell whether one was.
    """
    with _as_signature_error():
        found = _chain(bundle)
        _check_signature(bundle, found[0])
        holder = x509_path.identity(found[0])
    stamps = timestamp.of(bundle)
    others: list[SignedByCertificate] = []
    silent: list[Unavailable] = []
    reasons: dict[bool, list[str]] = {True: [], False: []}  # of rules that name this holder, and of others
    for rule in rules:
        try:
            with x509_path.strictly():
                signer = _vouched(found, holder, rule, stamps, now)
        except Unavailable as problem:
            silent.append(problem)
            continue
        except x509_path.UNREADABLE as problem:
            reasons[rule.identity == holder].append(x509_path.words(problem))
            continue
        if rule.matches(signer):
            return signer, rule
        others.append(signer)
    if silent:
        raise silent[0]
    if others and not reasons[True]:
        return others[0], None
    raise SignatureError("; ".join(dict.fromkeys(reasons[True] or reasons[False])), mend=MEND)


def _vouched(
    found: Sequence[x509.Certificate], holder: str, rule: CertificateHolder, stamps: Sequence[Stamp], now: datetime
) -> SignedByCertificate:
    """The signer, by the authority of `rule`: at the time of a timestamp that counts, else at `now`.

    Raises one of chain.UNREADABLE where it holds at none of these times, and Unavailable where that cannot be told.
    """
    good, doubts = timestamp.trusted(stamps, rule.stampers, now, rule.lists)
    begin, end = found[0].not_valid_before_utc, found[0].not_valid_after_utc
    fitting: list[Stamped | None] = [one for one in good if begin <= one.bounds[0] and one.bounds[1] <= end]
    if begin <= now <= end:
        fitting.append(None)
    if not fitting:
        doubts += [f"it was {stamp}, outside of that time, too" for stamp in good]
        raise ValueError(
            f"the certificate of {holder} is {_validity(found[0])}, not at {now:%Y-%m-%d %H:%M}, and no timestamp "
            f"shows that it signed in that time: {'; '.join(doubts) or 'the signature has none'}"
        )
    problems: list[Exception] = []
    for stamp in fitting:
        try:
            return _at(found, holder, rule, stamp, now)
        except x509_path.UNREADABLE as problem:
            problems.append(problem)
    raise problems[0]


def _at(
    found: Sequence[x509.Certificate], holder: str, rule: CertificateHolder, stamp: Stamped | None, now: datetime
) -> SignedByCertificate:
    """The signer, where all holds at the time of `stamp`, give or take its accuracy; without one, at `now`."""
    try:
        *_, path = [x509_path.path(found, rule.anchors, moment) for moment in (stamp.bounds if stamp else (now,))]
    except x509_path.UNREADABLE as problem:
        raise ValueError(
            f"no authority that the policy names certified {holder}: {x509_path.words(problem)}"
        ) from problem
    signer = _signer(holder, found[0], path[-1], stamp)
    if rule.revocation_lists and rule.matches(signer):
        revocation.check(path if len(path) > 1 else path * 2, rule.lists, stamp, now)  # one alone answers for itself
    return signer


def see(
    bundle: Bundle, authorities: Sequence[x509.Certificate], stamp: Stamped | None, now: datetime
) -> tuple[SignedByCertificate, CertificateHolder] | None:
    """Who signed the bundle, and what a policy says that means just them: by one of `authorities`, or else by the
    topmost authority that it brings itself; None where it brings none.

    Judged at `now`, or at its certificate's first or last day if that is not one of them: it tells who signed, not that
    it counts. Raises SignatureError where the signature or the path does not hold.
    """
    with _as_signature_error():
        found = _chain(bundle)
        _check_signature(bundle, found[0])
        holder = x509_path.identity(found[0])
        anchors = list(authorities) or found[1:][-1:]
        if not anchors:
            return None
        day = min(max(now, found[0].not_valid_before_utc), found[0].not_valid_after_utc)
        anchor = x509_path.path(found, anchors, day)[-1]
    rule = CertificateHolder(identity=holder, authorities=x509_path.pem([anchor]))
    return _signer(holder, found[0], anchor, stamp), rule


def _signer(holder: str, own: x509.Certificate, anchor: x509.Certificate, stamp: Stamped | None) -> SignedByCertificate:
    return SignedByCertificate(
        holder, x509_path.name(anchor), sha256(anchor), sha256(own), key_sha256(own), own.not_valid_after_utc, stamp
    )


def hint(bundle: Bundle) -> str:
    """Whom the bundle's certificate names, unproven, in at most 300 characters. Raises SignatureError, unreadable."""
    with _as_signature_error():
        own = _chain(bundle)[0]
        return f"{x509_path.identity(own)[:100]}, certified by {own.issuer.rfc4514_string()[:180]}"


def key_sha256(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate's public key in PEM, hex: as a policy names a bare key. Raises ValueError."""
    return hashlib.sha256(normal_pem(x509_path.signing_key(certificate))).hexdigest()


def sha256(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate in DER, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _chain(bundle: Bundle) -> list[x509.Certificate]:
    match bundle.material["x509CertificateChain"]:
        case {"certificates": list(rows), **rest} if not rest and 0 < len(rows) <= x509_path.MAX_LENGTH:
            return [_certificate(row) for row in rows]
    raise ValueError(f"its x509CertificateChain must hold 1 to {x509_path.MAX_LENGTH} certificates")


def _certificate(row: Any) -> x509.Certificate:
    match row:
        case {"rawBytes": str(text), **rest} if not rest:
            return x509_path.read(base64.b64decode(text, validate=True))
    raise ValueError("a certificate of its chain is {rawBytes}")


def _check_signature(bundle: Bundle, own: x509.Certificate) -> None:
    key = x509_path.signing_key(own)
    try:
        key.verify(bundle.envelope.signature, bundle.envelope.signed, curves.algorithm(key))
    except InvalidSignature as problem:
        raise ValueError("it was not made with the key of its certificate") from problem


def _validity(certificate: x509.Certificate) -> str:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def _read(path: Path) -> tuple[x509.Certificate, ...]:
    return x509_path.load(read_text(path, mend="give the path of a PEM file"))


@contextmanager
def _as_signature_error() -> Iterator[None]:
    try:
        with x509_path.strictly():
            yield
    except x509_path.UNREADABLE as problem:
        raise SignatureError(f"the signature does not hold: {x509_path.words(problem)}", mend=MEND) from problem
