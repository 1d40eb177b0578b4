"""Inclusion proofs: every row has one, and nothing else has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.verifier import Verifier
from registry.errors import DigestMismatch, InputError, SignerError, Unavailable, VerificationError
from registry.hub.reference import DirectoryReference, parse
from registry.records import data_manifest, layout
from registry.records.data_manifest import DataSource
from registry.records.data_row import Row
from registry.release.signing import sign
from registry.verification import inclusion
from registry.verification.inclusion import Proof
from registry.verification.steps import verify
from tests import synthetic_release
from tests.registry.attest.test_statement import VALUES
from tests.registry.verification.conftest import MAINTAINER
from tests.sigstore_instance import ISSUER, SigstoreInstance

GLASSHOUSE = str(Path(sys.executable).parent / "glasshouse")


def manifest(folder: Path, count: int) -> tuple[list[Row], str]:
    rows = [
        Row(source="s", path=f"{n:04d}", sha256=f"{n:064x}", size=n, license="MIT", use="train", reason=None)
        for n in range(count)
    ]
    return rows, data_manifest.write(folder, rows, [DataSource(id="s", kind="files", license="MIT")]).root


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 33])
def test_every_row_has_a_proof_and_it_is_that_of_rfc_6962(tmp_path: Path, count: int) -> None:
    rows, root = manifest(tmp_path, count)
    for index, row in enumerate(rows):
        for wanted in (row.path, f"s/{row.path}", row.sha256):
            proof = inclusion.prove(tmp_path, wanted)
            assert (proof.index, proof.row, proof.root) == (index, row, root)
            inclusion.check(Proof.from_json(json.loads(proof.to_bytes()), name="proof"), root)
        assert list(proof.path) == inclusion_path(rows, index)


def inclusion_path(rows: list[Row], index: int) -> list[str]:
    from registry import merkle

    return merkle.proof([row.to_bytes() for row in rows], index)


@pytest.mark.parametrize(
    "change",
    [
        {"index": 4}, {"rows": 17}, {"path": ()}, {"root": "0" * 64},
        {"row": {"sha256": "f" * 64}}, {"row": {"license": "GPL-3.0-only"}}, {"row": {"use": "validation"}},
    ],
)  # fmt: skip
def test_a_proof_of_anything_else_does_not_hold(tmp_path: Path, change: dict[str, Any]) -> None:
    _, root = manifest(tmp_path, 9)
    proof = inclusion.prove(tmp_path, "0005")
    if "row" in change:
        change = {"row": proof.row.model_copy(update=change["row"])}
    changed = proof.model_copy(update=change)
    if "root" in change:
        inclusion.check(changed, root)  # what the proof says of the root counts for nothing
        return
    with pytest.raises(VerificationError):
        inclusion.check(changed, root)


@pytest.mark.parametrize("wanted", ["nothing", "f" * 64, "", "../0001"])
def test_a_document_that_is_not_there_has_no_proof(tmp_path: Path, wanted: str) -> None:
    manifest(tmp_path, 3)
    with pytest.raises(InputError, match="no document"):
        inclusion.prove(tmp_path, wanted)


def test_rows_that_are_not_the_summary_s_prove_nothing(tmp_path: Path) -> None:
    manifest(tmp_path, 5)
    rows = tmp_path / data_manifest.ROWS
    rows.write_bytes(rows.read_bytes().replace(b'"bytes":3', b'"bytes":4'))
    with pytest.raises(VerificationError):
        inclusion.prove(tmp_path, "0001")


@given(VALUES | st.fixed_dictionaries({"schema": st.just("glasshouse.inclusion/v1"), "path": VALUES, "row": VALUES}))
def test_a_hostile_proof_raises_our_error_and_no_other(value: Any) -> None:
    with pytest.raises(InputError):
        Proof.from_json(value, name="proof")


def test_the_root_is_the_one_that_the_signer_stands_for(
    release: Path, verifier: Verifier, sigstore: SigstoreInstance
) -> None:
    proof = inclusion.prove(release / "provenance", "texts/003.txt")
    asked = DirectoryReference(release)
    signed = inclusion.signed_manifest(asked, verifier, endpoint=None)
    inclusion.check(proof, signed.root, signed.rows)
    with pytest.raises(VerificationError, match="rows"):
        inclusion.check(proof, signed.root, signed.rows + 1)
    stranger = Policy(signers=(SigstoreIdentity(identity="stranger@example.org", issuer=ISSUER),))
    with pytest.raises(SignerError):
        inclusion.signed_manifest(asked, Verifier(stranger, sigstore.trusted_root_path), endpoint=None)


def test_the_command_proves_and_checks(release: Path, sigstore: SigstoreInstance, tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([GLASSHOUSE, "data", *words], capture_output=True, text=True, check=False)

    made = run("prove", "texts/003.txt", "--manifest", str(release / "provenance"))
    (tmp_path / "proof.json").write_text(made.stdout)
    who = ("--identity", MAINTAINER, "--issuer", ISSUER, "--trusted-root", str(sigstore.trusted_root_path))
    checked = run("check", str(tmp_path / "proof.json"), "--root", str(release), *who)
    assert checked.returncode == 0 and "files:texts/texts/003.txt" in checked.stdout
    assert run("check", str(tmp_path / "proof.json"), "--root", "0" * 64).returncode == 1
    assert run("check", str(tmp_path / "proof.json"), "--root", str(release)).returncode == 2


def test_the_data_statement_is_the_one_that_the_release_lists(
    release: Path, copy: Path, verifier: Verifier, signer: SigstoreSigner, tmp_path: Path
) -> None:
    """One of another version, by the same signer, in its place proves nothing."""
    synthetic_release.write(tmp_path / "other", version="3.0.0", seed=3)
    sign(tmp_path / "other", signer)
    path = layout.attestation("data")
    data = (tmp_path / "other" / path).read_bytes()
    (copy / path).write_bytes(data)
    with pytest.raises(DigestMismatch, match="data"):
        inclusion.signed_manifest(DirectoryReference(copy), verifier, endpoint=None)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("hf://somebody/else@v1.0.0", "a release of"), ("hf://glasshouse/synthetic@v7.7.7", "another tag"),
        ("hf://glasshouse/synthetic@7.7.7", "another tag"), ("hf://glasshouse/synthetic@V2.0.0", "another tag"),
        ("hf://glasshouse/synthetic@1.0.0", "otherwise"), ("hf://glasshouse/synthetic@refs/tags/v2.0.0", "another tag"),
        ("hf://glasshouse/synthetic@v1.0.0", None), ("hf://glasshouse/synthetic@main", None),
    ],
)  # fmt: skip
def test_it_is_of_the_release_that_is_named(
    release: Path, verifier: Verifier, monkeypatch: pytest.MonkeyPatch, reference: str, why: str | None
) -> None:
    read = lambda *_: lambda path: (release / path).read_bytes()  # noqa: E731
    monkeypatch.setattr(inclusion, "_bundles", read)
    if why is None:
        assert inclusion.signed_manifest(parse(reference), verifier, endpoint=None).rows
        return
    with pytest.raises(VerificationError, match=why):
        inclusion.signed_manifest(parse(reference), verifier, endpoint=None)
    report = verify(release, parse(reference), "a copy", verifier)
    assert any(check.step == 4 and why in check.reason for check in report.checks if check.verdict == "FAIL")


def test_a_policy_that_asks_for_two_is_not_met_by_one(release: Path, verifier: Verifier) -> None:
    rules = (*verifier.policy.signers, SigstoreIdentity(identity="second@example.org", issuer=ISSUER))
    two = verifier.with_policy(Policy(signers=rules, threshold=2))
    with pytest.raises(Unavailable, match="2 signers"):  # it was not checked, which accuses nobody
        inclusion.signed_manifest(DirectoryReference(release), two, endpoint=None)
