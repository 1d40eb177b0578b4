"""The bundle's outer form: strict, bounded, and nothing but SignatureError for hostile bytes."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.attest.bundle import MAX_BYTES, MAX_MODEL_BYTES, MEDIA_TYPE, Bundle, Envelope, pae
from registry.attest.statement import PAYLOAD_TYPE
from registry.errors import SignatureError, Unsupported
from tests.registry.attest.test_statement import VALUES

GOOD: dict[str, Any] = {
    "mediaType": MEDIA_TYPE,
    "verificationMaterial": {"publicKey": {"hint": "x"}},
    "dsseEnvelope": Envelope(b"{}", PAYLOAD_TYPE, b"signature").as_json(),
}


def test_the_encoding_that_is_signed_is_that_of_the_dsse_specification() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


@given(st.binary(), st.binary())
def test_an_envelope_survives_its_json(payload: bytes, signature: bytes) -> None:
    envelope = Envelope(payload, PAYLOAD_TYPE, signature)
    assert Envelope.from_json(json.loads(json.dumps(envelope.as_json()))) == envelope


def test_a_good_bundle_is_read() -> None:
    bundle = Bundle.parse(canonical.dumps(GOOD))
    assert bundle.kind == "publicKey"
    assert bundle.envelope.payload == b"{}"


@pytest.mark.parametrize(
    "change",
    [
        {"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.4"},
        {"verificationMaterial": {}},
        *({"verificationMaterial": {"certificate": {}, "tlogEntries": [{"logIndex": n}]}} for n in ("07", "+7", "")),
        {"verificationMaterial": {"publicKey": {}, "certificate": {}}},
        {"verificationMaterial": {"publicKey": {}, "x509CertificateChain": {}}},
        {"verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": [{}]}},
        {"verificationMaterial": {"publicKey": {"hint": "x"}, "timestampVerificationData": {}}},
        {"verificationMaterial": {"x509CertificateChain": {"certificates": []}, "certificates": []}},
        {"messageSignature": {}},
        {"verificationMaterial": {"publicKey": None}},
        {"verificationMaterial": {"publicKey": {"hint": "x", "more": 1}}},
        {"verificationMaterial": {"publicKey": {"hint": 1}}},
        {"verificationMaterial": {"publicKey": {"hint": "x" * 1025}}},
        {"verificationMaterial": {"publicKey": {}, "tlogEntries": None}},
        {"verificationMaterial": {"publicKey": {}, "tlogEntries": False}},
        {"verificationMaterial": {"publicKey": {}, "tlogEntries": {}}},
        {"verificationMaterial": {"certificate": {"rawBytes": "AAAA" * (32 << 10) + "AAAA"}}},
        {"verificationMaterial": {"certificate": {}, "tlogEntries": [{"logIndex": "1" * 20}]}},
        {"verificationMaterial": {"certificate": {}, "tlogEntries": [{}] * 1000}},
        {"dsseEnvelope": {**GOOD["dsseEnvelope"], "signatures": [{"sig": "AA==", "keyid": "x" * 1025}]}},
        {"dsseEnvelope": {**GOOD["dsseEnvelope"], "signatures": [{"sig": "AA==", "keyid": ["x"]}]}},
        {"dsseEnvelope": None},
        {"dsseEnvelope": {**GOOD["dsseEnvelope"], "payloadType": "text/plain"}},
        {"dsseEnvelope": {**GOOD["dsseEnvelope"], "payload": "e30"}},
        {"dsseEnvelope": {**GOOD["dsseEnvelope"], "payload": "e!30="}},
        {"dsseEnvelope": {**GOOD["dsseEnvelope"], "signatures": []}},
        {"dsseEnvelope": {**GOOD["dsseEnvelope"], "signatures": GOOD["dsseEnvelope"]["signatures"] * 2}},
        {"dsseEnvelope": {**GOOD["dsseEnvelope"], "signatures": [{"sig": "AA==", "cert": "x"}]}},
    ],
)
def test_any_other_shape_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SignatureError):
        Bundle.parse(canonical.dumps(GOOD | change))


@pytest.mark.parametrize(
    "change",
    [
        *({"mediaType": f"application/vnd.dev.sigstore.bundle+json;version=0.{number}"} for number in (1, 2, 3)),
        {"messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": "AA=="}, "signature": "AA=="}},
    ],
)
def test_what_is_not_supported_is_called_that_and_not_forged(change: dict[str, Any]) -> None:
    other = {name: value for name, value in GOOD.items() if name != "dsseEnvelope" or "mediaType" in change}
    with pytest.raises(Unsupported, match="not supported: whether it holds is not known"):
        Bundle.parse(canonical.dumps(other | change))


@pytest.mark.parametrize("unit", [b'{"a":0},', b"[],", b'"",', b"0,"])
def test_a_bundle_of_31_mib_of_small_things_is_refused_before_they_are_built(unit: bytes) -> None:
    many = unit * ((31 << 20) // len(unit))
    data = canonical.dumps(GOOD).replace(b'{"hint"', b'{"many":[%s0],"hint"' % many)
    tracemalloc.start()
    try:
        with pytest.raises(SignatureError, match="more"):
            Bundle.parse(data, max_bytes=MAX_MODEL_BYTES)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()


def test_the_size_is_bounded_before_anything_is_parsed() -> None:
    with pytest.raises(SignatureError, match="more than"):
        Bundle.parse(b" " * (MAX_BYTES + 1))


def test_a_key_that_stands_twice_is_refused() -> None:
    data = canonical.dumps(GOOD).replace(b'{"dsseEnvelope"', b'{"mediaType":"x","dsseEnvelope"')
    with pytest.raises(SignatureError, match="twice"):
        Bundle.parse(data)


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_signature_error_comes_of_hostile_bytes(data: bytes) -> None:
    with pytest.raises(SignatureError):
        Bundle.parse(data)
