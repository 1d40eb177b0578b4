"""Who may sign: exact, and never nobody in particular."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from registry.attest.policy import Policy, PublicKey, SigstoreIdentity
from registry.errors import InputError

FORMAT = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_policy_that_names_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="no signer"):
        Policy(())


@pytest.mark.parametrize(("identity", "issuer"), [("", "https://issuer.test"), ("somebody@example.org", ""), ("", "")])
def test_an_identity_needs_its_issuer_and_an_issuer_its_identity(identity: str, issuer: str) -> None:
    with pytest.raises(InputError):
        SigstoreIdentity(identity, issuer)


def test_a_key_is_the_same_key_however_its_pem_is_written() -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*FORMAT).decode()
    other = f"made by hand\n{pem}".replace("\n", "\r\n")
    assert PublicKey(other) == PublicKey(pem)
    assert PublicKey(other).sha256 == PublicKey(pem).sha256


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no key",
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*FORMAT).decode(),
        ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(*FORMAT).decode(),
    ],
)
def test_anything_but_a_p256_public_key_is_refused(pem: str) -> None:
    with pytest.raises(InputError, match="P-256"):
        PublicKey(pem)


def test_a_private_key_is_no_public_key(private_key: Path) -> None:
    with pytest.raises(InputError):
        PublicKey(private_key.read_text())
