"""A synthetic release, signed by the real client with a Sigstore instance of our own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.predicates import Predicate
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.statement import Subject
from registry.attest.verifier import Verifier
from registry.hub.reference import DirectoryReference
from registry.release.signing import sign
from registry.report import Report
from registry.verification.case import Evidence, Gathered
from registry.verification.steps import verify
from tests import synthetic_release
from tests.registry.verification.words import Sign, statement_of
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


@pytest.fixture
def ask(release: Path, verifier: Verifier) -> Callable[..., Report]:
    """Verify the release by the maintainer's identity and what else a policy asks, with this evidence."""

    def asked(*evidence: Evidence, folder: Path = release, unanswered: str | None = None, **fields: Any) -> Report:
        policy = Policy.of({"signers": [IDENTITY.as_json()]} | fields)
        gathered = Gathered(evidence, {"status": unanswered} if unanswered else {})
        reference = DirectoryReference(folder)
        return verify(folder, reference, "a copy", verifier.with_policy(policy), gathered=gathered)

    return asked


@pytest.fixture
def say(release: Path, sigstore: SigstoreInstance) -> Sign:
    """A bundle in which `identity` says something of the release."""
    subject = statement_of(release).subjects[0]

    def said(identity: str, predicate: Predicate, about: Subject = subject) -> Evidence:
        signer = SigstoreSigner(sigstore.trust_config_path, identity_token=sigstore.token(identity))
        return Evidence(identity, signer.sign(predicate.about([about])))

    return said
