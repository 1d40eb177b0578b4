"""The file a signature comes in: a Sigstore bundle around a DSSE envelope, read strictly before anyone trusts it.

Law: `Envelope.from_json(e.as_json()) == e`.
Source: sigstore/protobuf-specs, protos/sigstore_bundle.proto (v0.3); DSSE 1.0, protocol.md and envelope.md.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from registry import canonical
from registry.attest.statement import PAYLOAD_TYPE
from registry.errors import InputError, SignatureError, Unsupported

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
OTHER_TYPES = frozenset(f"application/vnd.dev.sigstore.bundle+json;version=0.{number}" for number in (1, 2, 3))
"""What bundles of other times and tools call themselves. They can be good, and are not read here."""
MAX_BYTES = 4 << 20
"""The largest bundle that is read, unless the caller knows that it speaks of many files."""
MAX_MODEL_BYTES = 32 << 20
"""The largest model.sig: about 150,000 files."""

Kind = Literal["certificate", "publicKey", "x509CertificateChain"]
"""What vouches for the signature, as `verificationMaterial` calls it: a certificate that Sigstore issued and logged, a
bare key, or a chain of certificates up to an authority of the verifier's own."""
KINDS: tuple[Kind, ...] = ("certificate", "publicKey", "x509CertificateChain")
STAMPS = "timestampVerificationData"
UNLOGGED = frozenset(("publicKey", "x509CertificateChain", "tlogEntries", STAMPS))
"""What a bundle that no log knows may hold: anything else would be bytes that nobody signed and nobody looks at."""
MAX_PARTS = 1_000
"""Things in a bundle: eight certificates, a log entry with its proof and eight timestamps have two hundred."""
MAX_FIELD = 128 << 10
"""Characters of a field: of a certificate, a log entry's body, a signed checkpoint, a timestamp."""
LONGEST = {"payload": MAX_MODEL_BYTES, "keyid": 1 << 10, "hint": 1 << 10}
"""Characters of those fields that have another bound."""
MAX_STAMPS = 8
MAX_STAMP_BYTES = 64 << 10
"""How many timestamps stand beside a signature that no log knows, and the largest; one has about 6 kB."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload and one signature over it."""

    payload: bytes
    """What is signed: a statement."""
    payload_type: str
    """The media type of the payload."""
    signature: bytes
    """The signature over `signed`."""

    @property
    def signed(self) -> bytes:
        """The pre-authentication encoding: what the signature is made over."""
        return pae(self.payload_type, self.payload)

    def as_json(self) -> dict[str, Any]:
        """The `dsseEnvelope` of a bundle."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"sig": base64.b64encode(self.signature).decode(), "keyid": ""}],
        }

    @classmethod
    def from_json(cls, value: Any) -> Envelope:
        """Read `dsseEnvelope`. Raises SignatureError unless it holds exactly one signature over a statement."""
        match value:
            case {
                "payload": str(payload),
                "payloadType": str(kind),
                "signatures": [{"sig": str(signature), **hints}],
                **rest,
            } if kind == PAYLOAD_TYPE and not rest and _are_texts(hints, {"keyid"}, null=True):
                return cls(_base64(payload), kind, _base64(signature))
            case _:
                _refuse("its dsseEnvelope must hold an in-toto payload and one signature")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that is well formed; nothing in it is verified."""

    document: dict[str, Any]
    """The whole bundle, as parsed JSON."""
    kind: Kind
    """What vouches for the signature."""
    material: dict[str, Any]
    """Its `verificationMaterial`, which holds what vouches for the signature."""
    envelope: Envelope
    """The payload and its signature."""
    stamps: tuple[bytes, ...] = ()
    """The RFC 3161 timestamps of a signature that no log knows, each in DER. Those of a logged signature are left to
    Sigstore."""

    @classmethod
    def parse(cls, data: bytes, *, max_bytes: int = MAX_BYTES) -> Bundle:
        """Read hostile bytes, bounded in every field before one is looked at.

        Raises Unsupported for a bundle of another version, or of an artifact's bare signature: it may be good. Raises
        SignatureError for anything else but a bundle v0.3 with a DSSE envelope.
        """
        try:
            document = canonical.parse(data, name="bundle", max_bytes=max_bytes, max_parts=MAX_PARTS)
        except InputError as problem:
            raise SignatureError(problem.message, mend=MEND) from problem
        match document:
            case {"mediaType": str(kind), "verificationMaterial": dict()} if kind in OTHER_TYPES:
                _pass_over(f"a Sigstore bundle of the type {kind}")
            case {"mediaType": str(kind), "verificationMaterial": dict(), "messageSignature": dict(), **rest} if (
                kind == MEDIA_TYPE and not rest
            ):
                _pass_over(
                    "a Sigstore bundle of an artifact's bare signature (messageSignature), with no statement in it"
                )
            case {"mediaType": str(kind), "verificationMaterial": dict(material), "dsseEnvelope": envelope, **rest}:
                if kind != MEDIA_TYPE or rest:
                    _refuse(f"its media type must be {MEDIA_TYPE}, with a dsseEnvelope alone; found {kind[:80]!r}")
                _check_spelling(document)
                found = _kind(material)
                stamps = () if found == "certificate" else _stamps(material)
                return cls(document, found, material, Envelope.from_json(envelope), stamps)
            case _:
                _refuse("it needs mediaType, verificationMaterial and dsseEnvelope")


def unlogged(kind: Kind, vouching: Any, envelope: Envelope, stamps: Sequence[bytes] = ()) -> bytes:
    """The bundle of a signature that no log knows: `vouching` is what its verificationMaterial holds as `kind`.

    stamps: timestamps of the signature, each in DER.
    """
    material: dict[str, Any] = {kind: vouching, "tlogEntries": []}
    if stamps:
        rows = [{"signedTimestamp": base64.b64encode(stamp).decode()} for stamp in stamps]
        material[STAMPS] = {"rfc3161Timestamps": rows}
    return canonical.dumps(
        {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope.as_json()}
    )


def _kind(material: dict[str, Any]) -> Kind:
    found = [kind for kind in KINDS if kind in material]
    if len(found) != 1:
        _refuse(f"its verificationMaterial must hold one of {', '.join(KINDS)}; found {str(sorted(material))[:200]}")
    if found[0] != "certificate" and (material.keys() - UNLOGGED or material.get("tlogEntries", []) != []):
        held = str(sorted(material))[:200]
        _refuse(f"a bundle by {found[0]} must hold no log entry, and nothing but timestamps; found {held}")
    if found[0] == "publicKey" and not _are_texts(material["publicKey"], {"hint", "rawBytes", "keyDetails"}, null=True):
        _refuse("its publicKey must be {hint}, or {rawBytes, keyDetails}, each a text")
    return found[0]


def _are_texts(value: Any, names: Set[str], *, null: bool = False) -> bool:
    """Whether `value` is an object with no other keys than `names`, all of them texts; null: or nothing."""
    if not isinstance(value, dict) or not value.keys() <= names:
        return False
    return all(isinstance(text, str) or (null and text is None) for text in value.values())


def _stamps(material: dict[str, Any]) -> tuple[bytes, ...]:
    if STAMPS not in material:
        return ()
    match material[STAMPS]:
        case {"rfc3161Timestamps": list(rows), **rest} if not rest and 0 < len(rows) <= MAX_STAMPS:
            return tuple(_stamp(row) for row in rows)
    _refuse(f"its {STAMPS}, where there is one, must hold 1 to {MAX_STAMPS} rfc3161Timestamps")


def _stamp(row: Any) -> bytes:
    match row:
        case {"signedTimestamp": str(text), **rest} if not rest:
            stamp = _base64(text)
            if len(stamp) <= MAX_STAMP_BYTES:
                return stamp
    _refuse(f"a timestamp is {{signedTimestamp}}, of at most {MAX_STAMP_BYTES} bytes")


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: type and payload, each behind its length in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")
MEND = "fetch the signature again; if it stays so, do not trust the release, and report it"


BASE64_FIELDS = frozenset(
    (
        "canonicalizedBody",
        "hashes",
        "keyId",
        "rawBytes",
        "rootHash",
        "sig",
        "signedEntryTimestamp",
        "signedTimestamp",
    )
)
"""Fields of a bundle that hold bytes, or a list of bytes; the payload besides, which the envelope reads."""


INTEGER_FIELDS = frozenset(("integratedTime", "logIndex", "treeSize"))
"""Fields of a bundle that hold a whole number, as text."""


def _check_spelling(value: Any, field: str = "") -> None:
    """Refuse fields that are too long, and bytes and numbers that are not spelt in the one way."""
    match value:
        case dict():
            for name, item in value.items():
                _check_spelling(item, name)
        case list():
            for item in value:
                _check_spelling(item, field)
        case str() if len(value) > LONGEST.get(field, MAX_FIELD):
            _refuse(
                f"its {field[:40]} has {len(value)} characters, more than the {LONGEST.get(field, MAX_FIELD)} allowed"
            )
        case str() if field in BASE64_FIELDS:
            _base64(value)
        case str() if field in INTEGER_FIELDS and not NUMBER.fullmatch(value):
            _refuse(f"its {field} is spelt {value[:40]!r}")


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise SignatureError(f"the bundle holds malformed base64: {problem}", mend=MEND) from problem
    if base64.b64encode(data).decode() != text:
        raise SignatureError("the bundle holds base64 that is not canonical", mend=MEND)
    return data


def _pass_over(found: str) -> NoReturn:
    raise Unsupported(
        f"{found} is not supported: whether it holds is not known here",
        mend="verify it with the tool that it was made for, such as cosign, or ask for a bundle v0.3 of a statement",
    )


def _refuse(found: str) -> NoReturn:
    raise SignatureError(f"not a Sigstore bundle of a statement: {found}", mend=MEND)
