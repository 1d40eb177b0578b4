"""Signing with a key in a file."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from registry.attest import localkey
from registry.attest.bundle import Bundle, Envelope, unlogged
from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.signature import SignedByKey
from registry.attest.statement import PAYLOAD_TYPE
from registry.attest.verifier import Verifier
from registry.errors import CredentialsError, InputError, SignatureError, SignerError
from registry.variables import KEY_PASSWORD
from tests.registry.attest.conftest import STATEMENT, write_key


def test_what_a_key_signs_verifies_with_it_and_says_that_nobody_logged_it(private_key: Path) -> None:
    signer = KeySigner(private_key)
    verified = Verifier(Policy(signers=(signer.public_key,))).verify(signer.sign(STATEMENT))
    assert verified.statement == STATEMENT
    assert verified.signer == SignedByKey(signer.public_key.sha256)
    assert "no transparency log" in str(verified.signer)


def test_another_key_does_not_verify_it_whatever_the_hint_says(private_key: Path, tmp_path: Path) -> None:
    signer, other = KeySigner(private_key), KeySigner(write_key(tmp_path / "other.pem"))
    document = json.loads(signer.sign(STATEMENT))
    document["verificationMaterial"]["publicKey"]["hint"] = other.public_key.sha256
    with pytest.raises(SignatureError):
        Verifier(Policy(signers=(other.public_key,))).verify(json.dumps(document).encode())
    both = Policy(signers=(other.public_key, signer.public_key))
    assert Verifier(both).verify(json.dumps(document).encode()).signer == SignedByKey(signer.public_key.sha256)


@pytest.mark.parametrize("hint", [None, 1, [], "", "\x1b[2J" * 1000])
def test_a_hint_of_any_shape_is_only_a_hint(private_key: Path, tmp_path: Path, hint: object) -> None:
    other = KeySigner(write_key(tmp_path / "other.pem"))
    document = json.loads(KeySigner(private_key).sign(STATEMENT))
    document["verificationMaterial"]["publicKey"] = hint
    with pytest.raises(SignatureError) as caught:
        Verifier(Policy(signers=(other.public_key,))).verify(json.dumps(document).encode())
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


def test_payload_and_signature_are_bound(private_key: Path) -> None:
    signer = KeySigner(private_key)
    one = json.loads(signer.sign(STATEMENT))
    two = json.loads(signer.sign(type(STATEMENT)(STATEMENT.subjects, STATEMENT.predicate_type, {"holds": False})))
    one["dsseEnvelope"]["payload"] = two["dsseEnvelope"]["payload"]
    with pytest.raises(SignatureError):
        Verifier(Policy(signers=(signer.public_key,))).verify(json.dumps(one).encode())


def test_a_key_and_an_identity_do_not_stand_in_for_each_other(
    private_key: Path, bundles: dict[str, bytes], verifier: Verifier
) -> None:
    signer = KeySigner(private_key)
    with pytest.raises(SignatureError, match="bare key"):
        verifier.verify(signer.sign(STATEMENT))
    by_key = Verifier(Policy(signers=(signer.public_key,)), verifier.trust_root)
    with pytest.raises(SignerError, match="expected key sha256"):
        by_key.verify(bundles["rekor1"])


def test_an_encrypted_key_opens_with_its_password_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_key(tmp_path / "private.pem", password=b"right")
    for password in (None, "wrong"):
        monkeypatch.delenv(KEY_PASSWORD, raising=False)
        if password:
            monkeypatch.setenv(KEY_PASSWORD, password)
        with pytest.raises(CredentialsError) as caught:
            KeySigner(path)
        assert KEY_PASSWORD in caught.value.mend
    monkeypatch.setenv(KEY_PASSWORD, "right")
    signer = KeySigner(path)
    assert Verifier(Policy(signers=(signer.public_key,))).verify(signer.sign(STATEMENT)).statement == STATEMENT


def test_anything_but_a_p256_private_key_is_refused(tmp_path: Path) -> None:
    nonsense, empty = tmp_path / "nonsense.pem", tmp_path / "empty.pem"
    nonsense.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    empty.touch()
    for path in (write_key(tmp_path / "p384.pem", curve=ec.SECP256K1()), nonsense, empty, tmp_path / "missing.pem"):
        with pytest.raises(InputError):
            KeySigner(path)


def test_the_key_is_seen_in_what_it_signed(private_key: Path) -> None:
    """Of the two under which a signature verifies, the hint tells; it cannot tell of a third."""
    signer = KeySigner(private_key)
    for _ in range(20):
        assert localkey.see(Bundle.parse(signer.sign(STATEMENT))) == signer.public_key


@given(st.binary(max_size=80))
def test_no_key_is_seen_in_what_is_no_signature_of_its(stranger: KeySigner, signature: bytes) -> None:
    document = json.loads(stranger.sign(STATEMENT))
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    assert localkey.see(Bundle.parse(json.dumps(document).encode())) is None


@given(st.integers(0, 2**260), st.integers(0, 2**260))
def test_no_key_is_seen_in_any_other_numbers(stranger: KeySigner, r: int, s: int) -> None:
    envelope = Envelope(STATEMENT.to_bytes(), PAYLOAD_TYPE, encode_dss_signature(r, s))
    assert localkey.see(Bundle.parse(unlogged("publicKey", {"hint": stranger.public_key.sha256}, envelope))) is None


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> KeySigner:
    """A key."""
    return KeySigner(write_key(tmp_path_factory.mktemp("stranger") / "private.pem"))
