"""Releases whose documents are looked at."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry.files import write_atomic
from registry.manifest import Manifest
from registry.openness.documents import agreement, every
from registry.report import Check
from tests import synthetic_release
from tests.goldens.make_releases import goldens

Changed = Callable[[str, Callable[[bytes], bytes]], Check]


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


@pytest.fixture(params=["synthetic", "trained"])
def release(request: pytest.FixtureRequest) -> Path:
    """Each of the two."""
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
