"""Every way of tampering that we know, against a synthetic release: all refused, each for its own reason."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from registry.attest.sigstore import SigstoreSigner
from registry.attest.verify import Verifier
from registry.audit.verify import verify
from registry.hub.reference import DirectoryReference
from registry.report import Verdict
from tests.e2e import tampering
from tests.registry.audit.conftest import MAINTAINER
from tests.sigstore_instance import SigstoreInstance


@pytest.fixture(scope="module")
def world(
    release: Path,
    signer: SigstoreSigner,
    verifier: Verifier,
    sigstore: SigstoreInstance,
    tmp_path_factory: pytest.TempPathFactory,
) -> tampering.World:
    """The release, and its doubles."""
    scratch = tmp_path_factory.mktemp("doubles")
    timed = SigstoreSigner(sigstore.trust_config_rekor2_path, identity_token=sigstore.token(MAINTAINER))
    with SigstoreInstance.start(scratch / "instance") as other:
        foreign = SigstoreSigner(other.trust_config_path, identity_token=other.token(MAINTAINER))
        return tampering.world(release, scratch, signer=signer, timed=timed, foreign=foreign, verifier=verifier)


def test_the_doubles_are_good_by_themselves(world: tampering.World) -> None:
    for folder, verdict in (
        (world.good, "PASS"),
        (world.later, "PASS"),
        (world.timed, "PASS"),
        (world.foreign, "FAIL"),
    ):
        assert verify(folder, DirectoryReference(folder), "", world.verifier).verdict is Verdict(verdict)


def test_every_case_is_refused_for_its_own_reason(
    world: tampering.World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    outcomes = tampering.attempt_all(world, tmp_path / "scratch")
    assert {code for _, code, _ in outcomes} == {1}
    assert len({case.name for case, _, _ in outcomes}) == len(outcomes) >= 200
    with capsys.disabled():
        print(f"\n{tampering.told(outcomes, time.monotonic() - started)}")
