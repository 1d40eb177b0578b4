"""What a Hub lists of a release is held against what the release statement signs, before anything is fetched."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import api
from registry.hub.client.files import RemoteFiles
from registry.hub.transfer import RemoteFile
from registry.records import layout
from tests.published import REFERENCE, World, published

HUGE = 10 << 30
Lie = Callable[[list[RemoteFile]], list[RemoteFile]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with published(tmp_path_factory.mktemp("published")) as made:
        yield made


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was fetched of the release."""
    paths: list[str] = []
    stream = RemoteFiles._stream

    def watched(self: RemoteFiles, repo: str, commit: str, path: str, *rest: Any) -> object:
        paths.append(path)
        return stream(self, repo, commit, path, *rest)

    monkeypatch.setattr(RemoteFiles, "_stream", watched)
    return paths


def lying(monkeypatch: pytest.MonkeyPatch, lie: Lie) -> None:
    """A Hub that lists the release as `lie` changes it."""
    honest = RemoteFiles.list

    def listed(self: RemoteFiles, *asked: object) -> tuple[RemoteFile, ...]:
        return tuple(lie(list(honest(self, *asked))))  # type: ignore[arg-type]

    monkeypatch.setattr(RemoteFiles, "list", listed)


def _sized(path: str, size: int) -> Lie:
    return lambda files: [dataclasses.replace(file, size=size) if file.path == path else file for file in files]


def _more(files: list[RemoteFile]) -> list[RemoteFile]:
    return [*files, dataclasses.replace(files[0], path="more.bin", size=HUGE)]


def _fewer(files: list[RemoteFile]) -> list[RemoteFile]:
    return [file for file in files if file.path != layout.WEIGHTS]


LIES: dict[str, tuple[Lie, str, str]] = {
    "larger": (_sized(layout.WEIGHTS, HUGE), layout.WEIGHTS, f"the Hub lists {HUGE} bytes"),
    "smaller": (_sized(layout.WEIGHTS, 10), layout.WEIGHTS, "the Hub lists 10 bytes"),
    "more": (_more, "more.bin", "unexpected: the Hub lists it, and it is not signed"),
    "fewer": (_fewer, layout.WEIGHTS, "missing: it is signed, and the Hub does not list it"),
    "a bundle of 10 GiB": (_sized(layout.SIGNATURE, HUGE), layout.SIGNATURE, "more than a bundle may have"),
}


@pytest.mark.parametrize("lie", LIES)
def test_other_files_or_sizes_than_signed_end_before_they_are_fetched(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetched: list[str], lie: str
) -> None:
    change, path, words = LIES[lie]
    lying(monkeypatch, change)
    report = api.verify(REFERENCE, world.policy, into=tmp_path / "model", summary=tmp_path / "vsa.json")
    assert report.verdict is api.Verdict.FAIL
    assert [(check.subject, words in check.reason) for check in report.checks if check.verdict == "FAIL"] == [
        (path, True)
    ]
    others = {check.verdict for check in report.checks if check.step is not api.Step.BYTES}
    assert others == {api.Verdict.UNKNOWN} and {check.step for check in report.checks} == set(range(8))
    assert set(fetched) <= {layout.RELEASE_ATTESTATION} and list(tmp_path.iterdir()) == []
    with pytest.raises(api.FailedReport):
        api.fetch(REFERENCE, world.policy, into=tmp_path / "model")
    assert set(fetched) <= {layout.RELEASE_ATTESTATION} and list(tmp_path.iterdir()) == []


def test_as_it_is_signed_it_is_fetched_and_passes(world: World, tmp_path: Path, fetched: list[str]) -> None:
    assert api.verify(REFERENCE, world.policy, into=tmp_path / "model").verdict is api.Verdict.PASS
    assert layout.WEIGHTS in fetched
