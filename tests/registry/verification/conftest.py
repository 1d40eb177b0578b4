"""A synthetic release, signed by the real client with a Sigstore instance of our own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.sigstore import SigstoreSigner
from registry.attest.verifier import Verifier
from registry.release.sign import sign
from tests import synthetic_release
from tests.sigstore_instance import ISSUER, SigstoreInstance

MAINTAINER = "maintainer@example.org"
IDENTITY = SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER)


@pytest.fixture(scope="session")
def signer(sigstore: SigstoreInstance) -> SigstoreSigner:
    """The maintainer."""
    return SigstoreSigner(sigstore.trust_config_path, identity_token=sigstore.token(MAINTAINER))


@pytest.fixture(scope="session")
def release(signer: SigstoreSigner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release v1.0.0. Shared: copy it before changing it."""
    folder = tmp_path_factory.mktemp("synthetic") / "release"
    synthetic_release.write(folder)
    sign(folder, signer)
    return folder


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(release, tmp_path / "release"))


@pytest.fixture(scope="session")
def verifier(sigstore: SigstoreInstance) -> Verifier:
    """Trusts the maintainer alone, offline."""
    return Verifier(Policy(signers=(IDENTITY,)), sigstore.trusted_root_path)
