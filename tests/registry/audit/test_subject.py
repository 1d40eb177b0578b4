"""A release is admitted with what its signed params.yaml says of how it is replayed, or none of its code is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.attest.localkey import KeySigner
from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.audit.subject import Audited, admit
from registry.errors import Unavailable, VerificationError
from registry.hub.reference import DirectoryReference
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
