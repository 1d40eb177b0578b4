"""One byte, one file or one signature that is not what was signed: the release fails, and the file is named."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.signature import Verified
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.verifier import Verifier
from registry.errors import InputError, Unavailable
from registry.hub.reference import DirectoryReference, HubReference, Reference
from registry.report import Report, Verdict
from registry.verification.steps import verify
from tests.conftest import MAINTAINER, REPO, Project, Released
from tests.e2e import tampering
from tests.sigstore_instance import SigstoreInstance


@pytest.fixture
def folder(released: Released, tmp_path: Path) -> Path:
    """A copy of the release that a test may spoil."""
    return Path(shutil.copytree(released.folder, tmp_path / "release"))


@pytest.fixture(scope="module")
def verifier(sigstore: SigstoreInstance) -> Verifier:
    """Who must have signed, and the root of trust alone: what an auditor without a network has."""
    return Verifier(
        Policy(signers=(SigstoreIdentity(identity=MAINTAINER, issuer=sigstore.issuer),)), sigstore.trusted_root_path
    )


def report(folder: Path, verifier: Verifier, reference: Reference | None = None) -> Report:
    return verify(folder, reference or DirectoryReference(folder), "a copy", verifier)


def failures(result: Report) -> dict[str, str]:
    """Everything that was found amiss with each subject."""
    failed = [check for check in result.checks if check.verdict is Verdict.FAIL]
    return {one.subject: "; ".join(c.reason for c in failed if c.subject == one.subject) for one in failed}


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_the_release_itself_passes(folder: Path, verifier: Verifier) -> None:
    assert report(folder, verifier).verdict is Verdict.PASS


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_no_byte_of_the_last_signature_is_free(folder: Path, verifier: Verifier, step: int) -> None:
    """Nothing covers model.sig but its own signature, so each of its bytes must matter to that."""
    path = folder / "model.sig"
    data = path.read_bytes()
    free = []
    for place in range(0, len(data), step):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            verifier.verify(bytes(changed))
        except Exception as problem:  # noqa: BLE001
            assert type(problem).__module__ == "registry.errors"
        else:
            free.append(place)
    assert free == []


def test_another_tag_or_repository_is_not_this_release(folder: Path, verifier: Verifier) -> None:
    assert report(folder, verifier, HubReference(REPO, "v1.0.0")).verdict is Verdict.PASS
    assert "another tag" in failures(report(folder, verifier, HubReference(REPO, "v9.9.9")))[f"hf://{REPO}@v9.9.9"]
    assert f"a release of {REPO}" in str(failures(report(folder, verifier, HubReference("a/b", "v1.0.0"))))


@pytest.mark.parametrize(
    "change",
    [
        lambda identity, issuer: (identity + ".evil.example", issuer),
        lambda identity, issuer: (identity[:-1], issuer),
        lambda identity, issuer: (identity, issuer + "/other"),
    ],
)
def test_another_signer_is_named(
    folder: Path, sigstore: SigstoreInstance, change: Callable[[str, str], tuple[str, str]]
) -> None:
    identity, issuer = change(MAINTAINER, sigstore.issuer)
    verifier = Verifier(
        Policy(signers=(SigstoreIdentity(identity=identity, issuer=issuer),)), sigstore.trusted_root_path
    )
    result = report(folder, verifier)
    assert result.verdict is Verdict.FAIL
    assert MAINTAINER in failures(result)["model.sig"]
    assert {check.verdict for check in result.checks if check.step in (4, 5)} == {Verdict.UNKNOWN}


def test_a_release_resigned_by_somebody_else_is_seen(
    released: Released, folder: Path, sigstore: SigstoreInstance
) -> None:
    """The whole directory, changed and signed anew by a good identity that is not the maintainer's."""
    project: Project = released.project
    with (folder / "README.md").open("a") as card:
        card.write("It is wonderful.")
    trust = ("--trust-config", str(sigstore.trust_config_path))
    token = sigstore.token("mallory@example.org")
    project.run("glasshouse", "release", "sign", str(folder), *trust, "--identity-token", token)
    done = project.run("glasshouse", "verify", str(folder), *released.signer, check=False)
    assert done.returncode == 1 and "mallory@example.org" in done.stdout


def test_records_that_do_not_fit_together_are_a_gap_even_if_signed(
    released: Released, folder: Path, sigstore: SigstoreInstance, verifier: Verifier
) -> None:
    """A maintainer who signs a lock of another run: every signature holds, the lineage does not."""
    lock = folder / "provenance" / "dvc.lock"
    lines = lock.read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if "md5: " in line)
    lines[place] = lines[place].split("md5:")[0] + "md5: " + "0" * 32
    lock.write_text("\n".join(lines))
    trust = ("--trust-config", str(sigstore.trust_config_path))
    token = sigstore.token(MAINTAINER)
    released.project.run("glasshouse", "release", "sign", str(folder), *trust, "--identity-token", token)
    result = report(folder, verifier)
    assert {check.step for check in result.checks if check.verdict is Verdict.FAIL} == {5}


def test_a_root_of_trust_that_cannot_be_read_is_the_callers_error(folder: Path, tmp_path: Path) -> None:
    policy = Policy(signers=(SigstoreIdentity(identity=MAINTAINER, issuer="https://issuer.example"),))
    with pytest.raises(InputError, match="absent"):
        report(folder, Verifier(policy, tmp_path / "absent.json"))


def test_what_could_not_be_checked_is_unknown_and_never_a_pass(folder: Path, verifier: Verifier) -> None:
    class Unreachable(Verifier):
        def verify(self, data: bytes, *, name: str | None = None, max_bytes: int = 0) -> Verified:
            raise Unavailable("no trust root to be had", mend="bring one")

    result = report(folder, Unreachable(verifier.policy))
    assert result.verdict is Verdict.UNKNOWN and result.verdict.exit_code == 3
    assert {check.verdict for check in result.checks if check.step in (3, 4, 5)} == {Verdict.UNKNOWN}


def test_the_command_exits_with_1_and_names_the_file(released: Released, folder: Path) -> None:
    flip(folder / "model.safetensors", 5000)
    done = released.project.run("glasshouse", "verify", str(folder), *released.signer, check=False)
    assert done.returncode == 1
    assert "model.safetensors" in done.stdout and "altered" in done.stdout and "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def world(
    released: Released, sigstore: SigstoreInstance, verifier: Verifier, tmp_path_factory: pytest.TempPathFactory
) -> tampering.World:
    """The release, and its doubles."""
    scratch, token = tmp_path_factory.mktemp("doubles"), sigstore.token(MAINTAINER)
    signer, timed = (
        SigstoreSigner(config, identity_token=token)
        for config in (sigstore.trust_config_path, sigstore.trust_config_rekor2_path)
    )
    with SigstoreInstance.start(scratch / "instance") as other:
        foreign = SigstoreSigner(other.trust_config_path, identity_token=other.token(MAINTAINER))
        return tampering.world(released.folder, scratch, signer=signer, timed=timed, foreign=foreign, verifier=verifier)


def test_the_doubles_are_good_by_themselves(world: tampering.World) -> None:
    for folder in (world.good, world.later, world.timed, world.paired):
        assert report(folder, world.verifier).verdict is Verdict.PASS
    for folder in (world.certified, world.stamped):
        assert report(folder, world.certifying()).verdict is Verdict.PASS
    ended = world.certifying(clock=world.clock).at(world.ended + timedelta(days=1))
    assert report(world.stamped, ended).verdict is Verdict.PASS
    for folder in (world.certified, world.stamped, world.foreign):
        assert report(folder, world.verifier).verdict is Verdict.FAIL


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is room: more than a thousand copies are made in it and removed."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30:
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            yield Path(folder) / "scratch"
    else:
        yield tmp_path / "scratch"


def test_every_way_of_tampering_is_refused_for_its_own_reason(
    world: tampering.World, scratch: Path, tell: Callable[[str], None]
) -> None:
    started = time.monotonic()
    outcomes = tampering.attempt_all(world, scratch)
    assert len({case.name for case, _, _ in outcomes}) == len(outcomes) >= 900
    tell(tampering.told(outcomes, time.monotonic() - started))
