"""Every way of tampering that we know, against a synthetic release: all refused, each for its own reason."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from registry.attest.sigstore import SigstoreSigner
from registry.attest.verify import Verifier
from registry.release.sign import sign
from registry.report import Verdict
from tests import synthetic_release
from tests.e2e import tampering
from tests.registry.audit.conftest import MAINTAINER
from tests.sigstore_instance import ISSUER, SigstoreInstance


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
    with SigstoreInstance.start(scratch / "other") as other:
        foreign = SigstoreSigner(other.trust_config_path, identity_token=other.token(MAINTAINER))
        for name, by, version in (
            ("later", signer, "1.0.1"), ("timed", timed, "1.0.0"), ("foreign", foreign, "1.0.0"),
        ):  # fmt: skip
            synthetic_release.write(scratch / name, version=version, seed=int(name == "later"))
            sign(scratch / name, by)
    return tampering.World(
        release, scratch / "later", scratch / "timed", scratch / "foreign", signer, verifier, MAINTAINER, ISSUER
    )


def test_the_doubles_are_good_by_themselves(world: tampering.World) -> None:
    from registry.audit.verify import verify
    from registry.hub.reference import DirectoryReference

    for folder, verdict in ((world.later, "PASS"), (world.timed, "PASS"), (world.foreign, "FAIL")):
        assert verify(folder, DirectoryReference(folder), "", world.verifier).verdict is Verdict(verdict)


def test_every_case_is_refused_for_its_own_reason(
    world: tampering.World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started, outcomes, otherwise = time.monotonic(), [], []
    (tmp_path / "scratch").mkdir()
    for case in tampering.cases(world):
        try:
            code, reason = tampering.run(world, case, tmp_path / "scratch")
        except tampering.NotAsExpected as problem:
            otherwise.append(str(problem))
        else:
            outcomes.append((case, code, reason))
    assert not otherwise, "\n".join(otherwise)
    assert {code for _, code, _ in outcomes} == {1}
    assert len({case.name for case, _, _ in outcomes}) == len(outcomes) >= 200
    steps = Counter(str(case.step) for case, _, _ in outcomes)
    with capsys.disabled():
        print(f"\n{len(outcomes)} ways of tampering, all refused, in {time.monotonic() - started:.1f} s;", end=" ")
        print(f"by step: {dict(sorted(steps.items()))}; {len({reason for _, _, reason in outcomes})} reasons")
