"""Only what was signed is published: a folder that has changed since is refused before a byte is sent."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.attest.localkey import KeySigner
from registry.errors import GlasshouseError, Refused
from registry.hub.client import HubClient
from registry.manifest import Manifest
from registry.records import layout
from registry.release import signed
from registry.release.publishing import publish
from registry.release.signing import sign
from tests import synthetic_release
from tests.sudden_death import private_key


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signed. Shared: copy it before changing it."""
    root = tmp_path_factory.mktemp("signed")
    synthetic_release.write(root / "release")
    sign(root / "release", KeySigner(private_key(root / "private.pem")))
    return root / "release"


def test_every_file_is_covered(release: Path) -> None:
    files = Manifest.of_directory(release)
    assert signed.digests(release) == {
        entry.path: entry.sha256 for entry in files.entries if entry.path != layout.SIGNATURE
    }
    signed.check(release, files)


def replaced(path: str) -> Callable[[Path], object]:
    return lambda folder: (folder / path).write_bytes(b"another")


def removed(path: str) -> Callable[[Path], object]:
    return lambda folder: (folder / path).unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (replaced("README.md"), r"signed: README\.md"),
        (replaced("new.txt"), r"signed: new\.txt"),
        (replaced(layout.GIT_ATTRIBUTES), r"signed: \.gitattributes"),
        (removed("model.safetensors"), r"signed: model\.safetensors"),
        (removed(layout.attestation("data")), r"signed: attestations/data"),
        (removed(layout.SIGNATURE), "is not signed"),
    ],
)
def test_what_has_changed_since_is_not_sent(
    release: Path, tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    nobody = HubClient("http://127.0.0.1:9")  # asking it for anything would be another error
    folder = Path(shutil.copytree(release, tmp_path / "release"))
    spoil(folder)
    with pytest.raises(Refused, match=told):
        publish(folder, nobody)


@pytest.mark.parametrize("path", [layout.SIGNATURE, layout.RELEASE_ATTESTATION])
def test_a_signature_that_is_none_is_an_error_of_its_own(release: Path, tmp_path: Path, path: str) -> None:
    folder = Path(shutil.copytree(release, tmp_path / "release"))
    (folder / path).write_bytes(b"{}")
    with pytest.raises(GlasshouseError):
        signed.check(folder, Manifest.of_directory(folder))
