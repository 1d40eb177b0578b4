"""The verification summary says what the report says, of the bytes that were looked at, as SLSA defines it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2

from registry import api
from registry.attest.intoto import VerificationSummary
from registry.attest.policy import Policy, StatusPolicy
from registry.attest.signers import PublicKey
from registry.attest.statement import Statement
from registry.attest.verifier import Verifier
from registry.digest import sha256_bytes
from registry.manifest import Manifest
from registry.records import layout
from tests import synthetic_release
from tests.registry.attest.conftest import write_key

NAME = f"{synthetic_release.REPO}@v1.0.0"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed release in `model`, and the keys beside it."""
    folder = tmp_path_factory.mktemp("summary")
    signer = api.KeySigner(write_key(folder / "private.pem"))
    (folder / "public.pem").write_text(signer.public_key.pem)
    synthetic_release.write(folder / "model", weights_bytes=2 << 20)
    api.sign(folder / "model", signer)
    return folder


@pytest.fixture
def folder(once: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(once, tmp_path / "copy"))


def policy(folder: Path, status: StatusPolicy | None = None) -> Policy:
    return Policy(signers=(PublicKey(pem=(folder / "public.pem").read_text()),), status=status)


def read(path: Path) -> tuple[Statement, VerificationSummary]:
    """The statement, and what it says. in-toto's own definition allows no field more, but has one level for a list."""
    statement = Statement.parse(path.read_bytes())
    predicate = json.loads(path.read_bytes())["predicate"]
    assert isinstance(predicate.pop("verifiedLevels"), list)
    json_format.ParseDict(predicate, vsa_pb2.VerificationSummary())
    return statement, VerificationSummary.of(statement)


def test_what_passed_has_a_summary_of_the_release_and_each_of_its_files(folder: Path) -> None:
    model, path, asked = folder / "model", folder / "vsa.json", policy(folder)
    assert api.verify(model, asked, summary=path).verdict is api.Verdict.PASS
    statement, said = read(path)
    files = {entry.path: entry.sha256 for entry in Manifest.of_directory(model).entries}
    signed = Manifest.of_directory(model).without(layout.COVERED_LAST)
    assert statement.digests == {NAME: signed.sha256} | {entry.path: entry.sha256 for entry in signed.entries}
    assert (said.verification_result, said.verified_levels) == ("PASSED", ("SLSA_BUILD_LEVEL_1",))
    assert said.resource_uri == f"hf://{NAME}"
    assert said.policy.digest == {"sha256": sha256_bytes(asked.to_bytes())}
    attestations = {path for path in files if path.startswith("attestations/")} | {"model.sig"}
    assert {item.uri: item.digest["sha256"] for item in said.input_attestations} == {
        path: files[path] for path in attestations
    }


def test_what_others_signed_is_among_what_was_looked_at(folder: Path) -> None:
    other = folder / "other.sigstore.json"
    shutil.copy(folder / "model" / layout.RELEASE_ATTESTATION, other)
    api.verify(folder / "model", policy(folder), attestations=(other,), summary=folder / "vsa.json")
    _, said = read(folder / "vsa.json")
    looked_at = {item.uri: item.digest for item in said.input_attestations}
    assert looked_at[str(other)] == {"sha256": sha256_bytes(other.read_bytes())}


def flip(model: Path) -> None:
    data = bytearray((model / layout.WEIGHTS).read_bytes())
    data[-1] ^= 1
    (model / layout.WEIGHTS).write_bytes(data)


def shorten(model: Path) -> None:
    (model / layout.WEIGHTS).write_bytes((model / layout.WEIGHTS).read_bytes()[:-1])


def unsign(model: Path) -> None:
    (model / layout.RELEASE_ATTESTATION).unlink()


@pytest.mark.parametrize("spoil", [flip, shorten, unsign])
def test_what_failed_has_a_summary_of_the_files_that_were_found(folder: Path, spoil: Callable[[Path], None]) -> None:
    model = folder / "model"
    spoil(model)
    assert api.verify(model, policy(folder), summary=folder / "vsa.json").verdict is api.Verdict.FAIL
    statement, said = read(folder / "vsa.json")
    assert statement.digests == {entry.path: entry.sha256 for entry in Manifest.of_directory(model).entries}
    assert (said.verification_result, said.verified_levels) == ("FAILED", ("FAILED",))
    assert said.resource_uri == model.as_uri()


def test_a_sparse_file_of_a_tebibyte_is_not_hashed_for_a_summary(folder: Path) -> None:
    with (folder / "model/more.txt").open("wb") as stream:
        stream.truncate(1 << 40)
    (folder / "model/less.txt").write_text("small")
    assert api.verify(folder / "model", policy(folder), summary=folder / "vsa.json").verdict is api.Verdict.FAIL
    digests = read(folder / "vsa.json")[0].digests
    assert "more.txt" not in digests and {"less.txt", layout.WEIGHTS, layout.SIGNATURE} <= digests.keys()


def test_of_what_could_not_be_told_there_is_no_summary_and_an_older_one_goes(folder: Path) -> None:
    path = folder / "vsa.json"
    api.verify(folder / "model", policy(folder), summary=path)
    assert path.is_file()
    report = api.verify(folder / "model", policy(folder, status=StatusPolicy(max_age_days=1)), summary=path)
    assert report.verdict is api.Verdict.UNKNOWN and not path.exists()
    path.write_text("of before")
    with pytest.raises(api.InputError):
        api.verify(folder / "elsewhere", policy(folder), summary=path)
    assert not path.exists()
    (folder / "model" / "link").symlink_to("/etc/passwd")
    report = api.verify(folder / "model", policy(folder), summary=path)
    assert report.verdict is api.Verdict.FAIL and not path.exists()


def test_a_folder_in_the_place_of_a_summary_is_bad_input(folder: Path) -> None:
    with pytest.raises(api.InputError, match="cannot be written"):
        api.verify(folder / "model", policy(folder), summary=folder)


def test_the_command_writes_it_and_signs_it(folder: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "glasshouse"), "verify", "model", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    key = ("--key", "public.pem")
    assert run(*key, "--summary", "unsigned.json").returncode == 0
    read(folder / "unsigned.json")
    verifier = api.KeySigner(write_key(folder / "verifier.pem"))
    assert run(*key, "--summary", "signed.json", "--summary-key", "verifier.pem").returncode == 0
    trusted = Verifier(Policy(signers=(verifier.public_key,)))
    said = VerificationSummary.of(trusted.verify((folder / "signed.json").read_bytes()).statement)
    assert said.verification_result == "PASSED"
    done = run(*key, "--summary-key", "verifier.pem")
    assert done.returncode == 2 and "--summary FILE" in done.stderr
    (folder / "asks.yaml").write_text(
        "schema: glasshouse.policy/v1\nstatus: {maxAgeDays: 1}\nsigners:\n  - kind: key\n    pem: |\n"
        + "".join(f"      {line}\n" for line in (folder / "public.pem").read_text().splitlines())
    )
    done = run("--policy", "asks.yaml", "--summary", "signed.json")
    assert done.returncode == 3 and "no summary is written" in done.stderr and not (folder / "signed.json").exists()
