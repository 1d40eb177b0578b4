"""A release is admitted with what its signed params.yaml says of how it is replayed, or none of its code is run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.audit.subject import Audited, admit
from registry.errors import Refused, Unavailable, VerificationError
from registry.hub.reference import DirectoryReference
from registry.openness.documents import every
from registry.records import layout
from registry.release.signing import sign
from registry.verification.steps import verify
from tests import synthetic_release
from tests.sudden_death import private_key


def admitted(tmp_path: Path, release_section: str, later: str = "") -> Audited:
    """A signed release whose params.yaml has that section.  later: what is added once it is signed."""
    root = tmp_path / "release"
    synthetic_release.write(root)
    with (root / layout.PARAMS).open("a") as params:
        params.write(release_section)
    every.write(root)
    signer = KeySigner(private_key(tmp_path / "private.pem"))
    sign(root, signer)
    with (root / layout.PARAMS).open("a") as params:
        params.write(later)
    verifier = Verifier(Policy(signers=(signer.public_key,)))
    return admit(root, verify(root, DirectoryReference(root), "a directory", verifier), verifier)


def test_what_is_declared_comes_with_the_release(tmp_path: Path) -> None:
    declared = admitted(tmp_path, "release: {replay: {module: loom.again, data: spin, steps: loom.picks}}\n").project
    assert (declared.replay.module, declared.replay.data, declared.trained) == ("loom.again", "spin", "build/train")


def test_a_release_that_declares_nothing_is_replayed_as_ever(tmp_path: Path) -> None:
    assert admitted(tmp_path, "").project.replay.module == "pipelines.replay"


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ("release: {replay: {module: --help}}\n", "release.replay.module"),
        ("release: {replay: {data: --all}}\n", "release.replay.data"),
        ("release: {replay: {made: {tokenizer.json: ../../words.json}}}\n", "release.replay.made"),
        ("release: {provenance: [/etc/passwd]}\n", "release.provenance.0"),
        ("release: loom.again\n", "not a map"),
    ],
)
def test_what_is_declared_amiss_accuses_nobody_and_runs_nothing(tmp_path: Path, section: str, named: str) -> None:
    with pytest.raises(Unavailable, match=named):
        admitted(tmp_path, section)


def test_what_is_declared_after_it_was_signed_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="none of its code is run"):
        admitted(tmp_path, "", later="release: {replay: {module: loom.again}}\n")


def test_a_source_is_held_to_every_file_of_dvc_that_was_signed(tmp_path: Path) -> None:
    audited = admitted(tmp_path, "")
    assert {"dvc.yaml", "dvc.lock", "params.yaml", "requirements.lock"} <= audited.held.keys()
    below = audited.root / layout.PIPELINES / "models"
    below.mkdir(parents=True)
    for name in ("dvc.yaml", "dvc.lock"):
        (audited.root / layout.PROVENANCE / name).rename(below / name)
    assert {"models/dvc.yaml", "models/dvc.lock"} <= audited.held.keys() and "dvc.yaml" not in audited.held
    (below / "dvc.lock").unlink()
    with pytest.raises(Unavailable, match=r"no dvc\.lock to hold the source to"):
        _ = audited.held


def test_what_records_no_training_is_rebuilt_and_not_replayed(tmp_path: Path) -> None:
    audited = dataclasses.replace(admitted(tmp_path, ""), training=None)
    with pytest.raises(Refused, match="no part of a training to replay") as refused:
        _ = audited.chain
    assert "audit rebuild" in refused.value.mend
