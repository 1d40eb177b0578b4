"""Digests of files: the right ones, each byte read once for both, in pieces, and no link followed."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import (
    AHEAD,
    BATCH,
    BOTH,
    CHUNK,
    Digests,
    _batches,
    _size,
    is_sha256,
    measure,
    measure_files,
    sha256_file,
    sha256_files,
)  # fmt: skip

EMPTY_BLAKE3 = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
"""Of no bytes: the first test vector of BLAKE3's authors."""
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digests_are_those_of_the_standards(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert measure(path) == Digests(EMPTY_SHA256, EMPTY_BLAKE3)
    assert is_sha256(EMPTY_SHA256) and not is_sha256(EMPTY_SHA256.upper()) and not is_sha256(EMPTY_SHA256 + "\n")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, AHEAD, AHEAD + 1, 3 * AHEAD + 17])
def test_each_byte_is_read_once_for_both_and_never_many_at_a_time(tmp_path: Path, size: int) -> None:
    path, data = tmp_path / "file", bytes(range(256)) * (size // 256 + 1)
    path.write_bytes(data[:size])
    pieces: list[int] = []
    both = measure(path, BOTH, pieces.append)
    assert sum(pieces) == size and max(pieces, default=0) <= AHEAD
    assert both == Digests(hashlib.sha256(data[:size]).hexdigest(), blake3(data[:size]).hexdigest())
    assert sha256_file(path) == both.sha256


def test_who_cancels_leaves_no_thread_behind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * AHEAD))

    def cancelled(count: int) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        measure(path, BOTH, cancelled)
    assert threading.active_count() == before


def test_what_is_not_asked_for_is_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert measure(path, frozenset({"sha256"})).blake3 is None and measure(path, frozenset({"blake3"})).sha256 is None
    assert measure(tmp_path / "not-there", frozenset()) == Digests()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    for digest in (measure, sha256_file):
        with pytest.raises(OSError):
            digest(tmp_path / "link")


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_many_files_come_in_their_order(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("files")
    for number, data in enumerate(contents):
        (folder / str(number)).write_bytes(data)
    found = measure_files((folder / str(number), BOTH) for number in range(len(contents)))
    assert [one.sha256 for one in found] == [hashlib.sha256(data).hexdigest() for data in contents]


def test_small_files_are_handed_over_many_at_a_time_and_a_large_one_alone(tmp_path: Path) -> None:
    sizes = [10] * (2 * BATCH) + [CHUNK + 1] + [CHUNK // 2] * 3 + [0]
    paths = [tmp_path / str(number) for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(path.name.encode().ljust(size, b"x")[:size])
    batches = list(_batches([*paths, tmp_path / "not-there"], _size))
    assert [len(batch) for batch in batches] == [BATCH, BATCH, 1, 2, 3]
    assert sha256_files(paths) == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    with pytest.raises(FileNotFoundError):
        sha256_files([*paths, tmp_path / "not-there"])
