"""RFC 3161 timestamps: the word of somebody else that a signature was there at a time. Door to rfc3161_client.

Where no log tells when a signature was made, an authority can: it signs the signature's digest, and the time. A stamp
is not part of what was signed. Whoever passes a bundle on can take it away, or put another there; so it can only ever
speak for a signature, and one that nobody trusts is none.

Laws: what `TimestampService.stamp` returns, `read` takes for a stamp of the same signature and of no other; `trusted`
lets pass only what an authority named by the verifier signed, with a certificate for timestamps that was valid then.
Source: RFC 3161; sigstore/protobuf-specs, protos/sigstore_bundle.proto (RFC3161SignedTimestamp).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerifierBuilder,
    decode_timestamp_response,
)
from rfc3161_client import VerificationError as StampError

from registry.attest import revocation, x509_path
from registry.attest.bundle import MAX_STAMP_BYTES, MEND, Bundle
from registry.attest.signature import Stamped
from registry.errors import InputError, SignatureError, Unavailable

TIMEOUT = (10, 60)
"""Seconds to reach an authority, and between two parts of its answer."""
HASHES = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384", "2.16.840.1.101.3.4.2.3": "sha512"}
"""By which a stamp may name what it is of."""
MAX_CERTIFICATES = 2 * x509_path.MAX_LENGTH
UNUSABLE = (*x509_path.UNREADABLE, StampError)
"""What a hostile stamp can raise."""


class TimestampService:
    """A timestamp authority that is asked over HTTP. What it answers is not trusted: whoever verifies decides that."""

    def __init__(self, url: str) -> None:
        """Raises InputError for what is not an address, or holds a password, which errors would print."""
        try:
            parts = urlsplit(url)
            whole = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        except ValueError:
            whole = False
        if not whole:
            raise InputError(
                f"{url.rpartition('@')[2][:200]!r} is not the address of a timestamp authority",
                mend="--timestamp-url https://timestamp.example/tsr; a password belongs in ~/.netrc",
            )
        self.url = url

    def stamp(self, signature: bytes) -> bytes:
        """A stamp of `signature`, the authority's answer in DER.

        Raises Unavailable where it does not answer, declines, or answers something else than was asked.
        """
        request = TimestampRequestBuilder().hash_algorithm(HashAlgorithm.SHA256).data(signature).build()
        answer = self._ask(request.as_bytes())
        try:
            found = read(answer, signature)
        except SignatureError as problem:
            raise self._unusable(problem.message) from problem
        if found.response.tst_info.nonce != request.nonce:
            raise self._unusable("it answers another request")
        return answer

    def _ask(self, query: bytes) -> bytes:
        import requests  # takes longer to load than all that a verification needs from here

        kinds = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        try:
            with (
                requests.Session() as session,
                session.post(
                    self.url, data=query, headers=kinds, timeout=TIMEOUT, stream=True, allow_redirects=False
                ) as response,
            ):
                if response.status_code not in (200, 201):
                    raise self._unusable(f"HTTP status {response.status_code}")
                answer = b""
                for part in response.iter_content(4096):
                    answer += part
                    if len(answer) > MAX_STAMP_BYTES:
                        raise self._unusable(f"more than {MAX_STAMP_BYTES} bytes")
                return answer
        except (requests.RequestException, OSError, ValueError) as problem:
            raise Unavailable(
                f"the timestamp authority {self.url[:200]} did not answer: {x509_path.words(problem)}",
                mend="check the address and the network, and sign again; or sign without --timestamp-url",
            ) from problem

    def _unusable(self, found: str) -> Unavailable:
        return Unavailable(
            f"the timestamp authority {self.url[:200]} gave an answer that cannot be used: {found}",
            mend="ask whoever runs it, or another: --timestamp-url URL",
        )


@dataclass(frozen=True, slots=True)
class Stamp:
    """A timestamp of the signature that it stands beside; whether its authority is to be trusted is not said."""

    stamped: Stamped
    """What it says."""
    response: TimeStampResponse
    """The authority's answer, which is checked against its certificates."""
    signature: bytes
    """The signature that was stamped."""


def of(bundle: Bundle) -> tuple[Stamp, ...]:
    """The stamps of a bundle that no log knows. Raises SignatureError where one is none, or of another signature."""
    return tuple(read(data, bundle.envelope.signature) for data in bundle.stamps)


def read(data: bytes, signature: bytes) -> Stamp:
    """The stamp of `signature` that the hostile bytes `data` hold. Raises SignatureError for anything else."""
    try:
        with x509_path.strictly():
            response = decode_timestamp_response(data)
            if response.as_bytes() != data:
                raise ValueError("it is not DER")
            if response.status != PKIStatus.GRANTED:
                raise ValueError(f"it was not granted: status {response.status} {' '.join(response.status_string)}")
            info = response.tst_info
            imprint = info.message_imprint
            kind = HASHES.get(imprint.hash_algorithm.dotted_string)
            stamped = Stamped(info.gen_time.astimezone(UTC), _accuracy(response), _authority(response))
    except UNUSABLE as problem:
        why = _printable(x509_path.words(problem)).partition(": ParseError")[0]
        raise SignatureError(f"a timestamp cannot be read: {why}", mend=MEND) from problem
    if kind is None or hashlib.new(kind, signature).digest() != imprint.message:
        raise SignatureError(f"the timestamp by {stamped.authority} is of another signature", mend=MEND)
    return Stamp(stamped, response, signature)


def trusted(
    stamps: Sequence[Stamp],
    anchors: Sequence[x509.Certificate],
    now: datetime,
    lists: Sequence[revocation.List] = (),
) -> tuple[list[Stamped], list[str]]:
    """What those of `stamps` say that an authority under one of `anchors` made before `now`, and that none of `lists`
    names; and, of each of the others, why it says nothing."""
    if not anchors:
        return [], ["no timestamp authority is trusted"] if stamps else []
    good, doubts = [], []
    for stamp in stamps:
        try:
            with x509_path.strictly():
                if stamp.stamped.at > now:
                    raise ValueError(f"is of {stamp.stamped.at:%Y-%m-%d %H:%M} UTC, which is yet to come")
                _check_unlisted(_path(stamp, anchors), lists)
                good.append(stamp.stamped)
        except UNUSABLE as problem:
            doubts.append(f"the timestamp by {stamp.stamped.authority} {_printable(x509_path.words(problem))}")
    return good, doubts


def _check_unlisted(path: Sequence[x509.Certificate], lists: Sequence[revocation.List]) -> None:
    try:
        revocation.check_unlisted(path, lists)
    except x509_path.UNREADABLE as problem:  # however early the stamp: a thief of its key dates at will
        raise ValueError(f"no longer counts: {x509_path.words(problem)}") from problem


def _path(stamp: Stamp, anchors: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Judged twice: by `cryptography`, which tells the path, and by OpenSSL with its rules for timestamps."""
    own, others = _own_certificate(stamp.response)
    try:
        path = x509_path.timestamping_path([own, *others], anchors, stamp.stamped.at)
    except UNUSABLE as problem:
        raise ValueError(f"is by an authority that is not trusted: {x509_path.words(problem)}") from problem
    builder = VerifierBuilder(tsa_certificate=own, roots=list(anchors), intermediates=path[1:-1])
    try:
        builder.build().verify_message(stamp.response, stamp.signature)
    except UNUSABLE as problem:
        raise ValueError(f"does not hold: {x509_path.words(problem).partition(': ErrorStack')[0]}") from problem
    return path


def _own_certificate(response: TimeStampResponse) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The certificate that a stamp says it was signed by, of those that it carries, and the others."""
    raw, signers = response.signed_data.certificates, response.signed_data.signer_infos
    if len(signers) != 1 or not 0 < len(raw) <= MAX_CERTIFICATES:
        raise ValueError(f"must have one signer and carry 1 to {MAX_CERTIFICATES} certificates")
    (signer,) = signers
    found = [x509_path.read(data) for data in raw]
    own = [one for one in found if (one.issuer, one.serial_number) == (signer.issuer, signer.serial_number)]
    if len(own) != 1:
        raise ValueError("must carry the one certificate that it was signed by")
    return own[0], [one for one in found if one != own[0]]


def _authority(response: TimeStampResponse) -> str:
    return x509_path.name(_own_certificate(response)[0])


def _accuracy(response: TimeStampResponse) -> timedelta:
    accuracy = response.tst_info.accuracy
    if accuracy is None:
        return timedelta()
    return timedelta(
        seconds=accuracy.seconds or 0, milliseconds=accuracy.millis or 0, microseconds=accuracy.micros or 0
    )


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
