"""What the steps say when their ground is missing: UNKNOWN, never FAIL for what was not looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.attest import predicates
from registry.attest.verifier import Verifier
from registry.digest import Digests, Progress
from registry.hub.reference import DirectoryReference, HubReference
from registry.report import Report, Step, Verdict
from registry.verification import s3_signatures
from registry.verification.case import mistaken
from registry.verification.steps import verify
from registry.verification.tree import Tree, Wanted
from tests.registry.verification.words import statement_of


def report(folder: Path, verifier: Verifier) -> Report:
    return verify(folder, DirectoryReference(folder), "a copy", verifier)


def verdicts(found: Report) -> dict[Step, set[Verdict]]:
    return {step: {check.verdict for check in found.checks if check.step == step} for step in Step}


@pytest.mark.parametrize(
    ("revision", "told"),
    [
        ("v1.0.0", False), ("main", False), ("a" * 40, False), ("release-1.0.0", False), ("releases/1.0", False),
        ("release-2.0.0", True), ("model/v2.0.0", True), ("v-2.0.0", True), ("1.0.0-to-2.0.0", True),
        ("v1.0.0-rc.1", True),
    ],
)  # fmt: skip
def test_a_revision_with_the_number_of_another_version_is_another_release(
    release: Path, revision: str, told: bool
) -> None:
    signed = predicates.Release.of(statement_of(release))
    assert (mistaken(HubReference(signed.name, revision), signed) is not None) is told


class Failing(Tree):
    """A directory on a disk that fails."""

    def digests(self, wanted: Wanted, progress: Progress | None = None) -> list[Digests]:
        raise PermissionError(13, "Permission denied", str(self.root / wanted[0][0]))


def test_files_that_cannot_be_read_are_unknown_in_every_step(copy: Path, verifier: Verifier) -> None:
    """A disk that fails says nothing against the release."""
    found = verdicts(verify(Failing(copy), DirectoryReference(copy), "a copy", verifier))
    assert found[Step.BYTES] == found[Step.SIGNATURES] == found[Step.COMPLETE] == found[Step.LINEAGE] == {
        Verdict.UNKNOWN
    }  # fmt: skip
    assert not [step for step, verdicts in found.items() if Verdict.FAIL in verdicts]


def test_a_directory_that_is_not_there_is_unknown_and_an_empty_one_fails(tmp_path: Path, verifier: Verifier) -> None:
    assert report(tmp_path / "absent", verifier).verdict is Verdict.UNKNOWN
    (tmp_path / "empty").mkdir()
    assert verdicts(report(tmp_path / "empty", verifier))[Step.BYTES] == {Verdict.FAIL}


def test_bundles_without_end_are_not_looked_at(copy: Path, verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = sorted((copy / "attestations").glob("*"))
    monkeypatch.setattr(s3_signatures, "MAX_BUNDLES", sizes[0].stat().st_size)
    found = report(copy, verifier)
    told = {check.subject: check.verdict for check in found.checks if check.step is Step.SIGNATURES}
    assert found.verdict is Verdict.UNKNOWN and told.pop(f"attestations/{sizes[0].name}") is Verdict.PASS
    assert set(told.values()) == {Verdict.UNKNOWN}


def test_a_link_in_a_release_fails_and_nothing_is_looked_at(copy: Path, verifier: Verifier) -> None:
    (copy / "link").symlink_to("/etc/hostname")
    found = verdicts(report(copy, verifier))
    assert found.pop(Step.BOUNDS) == {Verdict.FAIL}
    assert {verdict for verdicts in found.values() for verdict in verdicts} == {Verdict.UNKNOWN}
