"""Releases whose documents are looked at."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry.files import write_atomic
from registry.manifest import Manifest
from registry.openness.documents import agreement, every
from registry.records import layout
from registry.records.base_record import Base
from registry.report import Check
from tests import synthetic_release
from tests.goldens.make_releases import goldens
from tests.registry.openness.test_energy import CSV

Changed = Callable[[str, Callable[[bytes], bytes]], Check]
PARAMS = """
seed: 7
release:
  repo: glasshouse/synthetic
  title: A model | of <all>
  languages: [en, code]
  intended_use: To be "tested".
  limits: It knows nothing.
  signer: {identity: me@example.org, issuer: 'https://issuer.example'}
  rai: {limitations: ["Forty | texts"], biases: [None is known]}
  eu:
    provider: "A provider | <b>1 Street</b>"
    placed_on_market: 2026-02-01
    modalities: {image: {amount: 2000000, types: Photographs}}
    crawled: {used: false}
    user: {interactions: false}
    opt_out: {signatory: false}
"""
"""What a person can say of a model."""
BASE = Base(repo="org/base", commit="b" * 40, sha256="d" * 64, files=3, size=99, verification=None)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a release by its path."""
    return {entry.path: entry.sha256 for entry in Manifest.of_directory(folder).entries}


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with every record, and every document."""
    folder = tmp_path_factory.mktemp("documents") / "synthetic"
    synthetic_release.write(folder)
    return folder


@pytest.fixture(scope="session")
def trained() -> Iterator[Path]:
    """The golden release that a pipeline made before there were documents, with those that it would have today."""
    golden = next(golden for golden in goldens() if golden.name == "v1/trained")
    with golden.unpacked() as root:
        every.write(root)
        yield root


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with a base, with the energy that it took, and with all that a person can say."""
    folder = tmp_path_factory.mktemp("full") / "release"
    extra = {layout.PARAMS: PARAMS.encode(), layout.BASE: BASE.to_bytes(), layout.EMISSIONS: CSV.encode()}
    synthetic_release.write(folder, extra=extra)
    return folder


@pytest.fixture(scope="session")
def tabled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose data manifest stands in a table, and says how much is known of it."""
    folder = tmp_path_factory.mktemp("tabled") / "release"
    synthetic_release.write(folder, form="parquet")
    return folder


@pytest.fixture(params=["synthetic", "trained", "full", "tabled"])
def release(request: pytest.FixtureRequest) -> Path:
    """Each of the four."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture
def changed(synthetic: Path, tmp_path: Path) -> Changed:
    """Makes the answer on one document of the synthetic release, after its bytes were changed."""

    def change(path: str, edit: Callable[[bytes], bytes]) -> Check:
        root = tmp_path / "changed"
        shutil.copytree(synthetic, root, dirs_exist_ok=True)
        before = (root / path).read_bytes()
        write_atomic(root / path, after := edit(before))
        assert before != after
        (answer,) = (check for check in agreement.checks(root, digests(root)) if check.subject.startswith(path))
        return answer

    return change
