"""What the tests of signing share: one Sigstore instance, one statement, one key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.statement import Statement, Subject
from registry.attest.verifier import Verifier
from tests.sigstore_instance import ISSUER, SigstoreInstance
from tests.sigstore_instance.tsa import TimestampAuthority

MAINTAINER = "maintainer@example.org"
POLICY = Policy(signers=(SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER),))
STATEMENT = Statement((Subject("model.safetensors", "ab" * 32),), "https://example.org/claim/v1", {"holds": True})


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> Iterator[None]:
    """Reach loopback directly, also where the machine has a proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigstoreInstance]:
    """A Sigstore instance for the whole run."""
    with SigstoreInstance.start(tmp_path_factory.mktemp("sigstore")) as running:
        yield running


@pytest.fixture(scope="session")
def signer(instance: SigstoreInstance) -> SigstoreSigner:
    """The maintainer, by Rekor 1."""
    return SigstoreSigner(instance.trust_config_path, identity_token=instance.token(MAINTAINER))


@pytest.fixture(scope="session")
def signer2(instance: SigstoreInstance) -> SigstoreSigner:
    """The maintainer, by Rekor 2 and timestamps."""
    return SigstoreSigner(instance.trust_config_rekor2_path, identity_token=instance.token(MAINTAINER))


@pytest.fixture(scope="session")
def verifier(instance: SigstoreInstance) -> Verifier:
    """Trusts the maintainer alone."""
    return Verifier(POLICY, instance.trusted_root_path)


@pytest.fixture(scope="session")
def bundles(signer: SigstoreSigner, signer2: SigstoreSigner) -> dict[str, bytes]:
    """STATEMENT, signed by the maintainer, by the version of Rekor."""
    return {"rekor1": signer.sign(STATEMENT), "rekor2": signer2.sign(STATEMENT)}


@pytest.fixture
def private_key(tmp_path: Path) -> Path:
    """A P-256 private key, unencrypted."""
    return write_key(tmp_path / "private.pem")


def write_key(path: Path, *, curve: ec.EllipticCurve | None = None, password: bytes | None = None) -> Path:
    """Write a new private key to `path`."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    key = ec.generate_private_key(curve or ec.SECP256R1())
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return path


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> TimestampAuthority:
    """A timestamp authority."""
    return TimestampAuthority(tmp_path_factory.mktemp("tsa"))
