"""What a release's records say, as statements: records that say what no statement can are told in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.digest import sha256_file
from registry.errors import Malformed
from registry.manifest import walk
from registry.provenance import claims
from registry.records import layout
from registry.records.release_record import ReleaseRecord, StatedLicences
from registry.records.run import Stages
from tests import synthetic_release


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release, unsigned."""
    folder = tmp_path_factory.mktemp("claims") / "release"
    synthetic_release.write(folder, opened=StatedLicences())
    return folder


@pytest.mark.parametrize(
    ("field", "value"), [("license", "x" * 2000), ("license", ""), ("version", "1" * 2000), ("repo", "")]
)
def test_a_record_that_no_statement_can_hold_is_told(root: Path, field: str, value: str) -> None:
    record = ReleaseRecord.read(root / layout.RECORD)
    digests = {path: sha256_file(root / path) for path, _ in walk(root)}
    assert {name for name, _ in claims.every(root, record, digests)} >= set(claims.CLAIMS) - {"harness"}
    spoilt = record.model_copy(update={field: value})
    with pytest.raises(Malformed, match="what card says: "):
        claims.made("card", root, spoilt, digests)


def test_a_run_that_no_statement_can_hold_is_told(root: Path) -> None:
    known = Stages.read(root / layout.STAGES).stages[0]
    dependency = known.run.deps[0].model_copy(update={"path": "x" * 5000})
    spoilt = known.model_copy(update={"run": known.run.model_copy(update={"deps": (dependency,)})})
    with pytest.raises(Malformed, match="what is said of"):
        claims.of_stage(spoilt, ReleaseRecord.read(root / layout.RECORD))
