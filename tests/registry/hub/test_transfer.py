"""Fetching: what a hostile or a flaky Hub can do to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InputError, Unavailable, VerificationError
from registry.hub.transfer import Limits, Opener, RemoteFile, check_listing, download
from registry.manifest import check_path

CONTENT = bytes(range(256)) * 40


def remote(path: str, size: int = len(CONTENT)) -> RemoteFile:
    return RemoteFile(path, size, None, "0" * 40)


def breaking(*lengths: int, ranges: bool = True) -> Opener:
    """A server whose connection breaks after so many bytes, one length for each request; then it serves the rest."""
    left = list(lengths)

    @contextmanager
    def source(path: str, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        start = offset if ranges else 0

        def chunks() -> Iterator[bytes]:
            end = start + left.pop(0) if left else len(CONTENT)
            for position in range(start, min(end, len(CONTENT)), 100):
                yield CONTENT[position : min(position + 100, end)]
            if end < len(CONTENT):
                raise Unavailable("the connection broke", mend="try again")

        yield start, chunks()

    return source


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_goes_on_where_it_broke(tmp_path: Path, ranges: bool) -> None:
    source = breaking(3_333, 5_001, 0, ranges=ranges)
    manifest = download(source, [remote("weights")], tmp_path / "copy")
    assert (tmp_path / "copy" / "weights").read_bytes() == CONTENT
    assert manifest.entries[0].size == len(CONTENT)


def test_a_connection_that_always_breaks_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        download(breaking(*[10] * 100), [remote("weights"), remote("other")], tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_longer_than_listed_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="more than the 100 bytes"):
        download(breaking(), [remote("weights", 100)], tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_shorter_than_listed_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=f"{len(CONTENT)} of {len(CONTENT) + 1} bytes"):
        download(breaking(), [remote("weights", len(CONTENT) + 1)], tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "paths",
    [
        ["../up"],
        ["/etc/passwd"],
        ["a//b"],
        ["a/./b"],
        ["C:/x"],
        ["a\\b"],
        ["a\nb"],
        ["a", "A"],
        ["a", "a"],
        ["a", "a/b"],
    ],
)
def test_a_listing_that_must_not_be_written_is_refused(paths: list[str]) -> None:
    with pytest.raises(InputError):
        check_listing([remote(path) for path in paths], Limits())


@given(st.lists(st.builds(remote, st.text(max_size=12), st.integers(-(2**60), 2**60)), max_size=8))
def test_any_listing_is_safe_or_refused(files: list[RemoteFile]) -> None:
    try:
        check_listing(files, Limits(files=6, size=2**40))
    except InputError:
        return
    assert len(files) <= 6
    assert all(file.size >= 0 for file in files)
    for file in files:
        check_path(file.path)
