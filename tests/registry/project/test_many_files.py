"""registry.project.many_files: what processes say of many files is what this one says of a few."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.digest import sha256_file
from registry.project import file_reader, many_files
from registry.project.file_reader import STATE
from registry.project.many_files import FileState, look, read

NAMES = ("a", "b c", "ü", "new\nline", "-n", "large", "empty")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_bytes(os.urandom(number))
    (tmp_path / "large").write_bytes(os.urandom(3 << 20))
    (tmp_path / "empty").write_bytes(b"")
    return [str(tmp_path / name) for name in NAMES]


@pytest.mark.parametrize("many", [1, 1000], ids=["processes", "here"])
def test_each_file_is_told_as_it_is(paths: list[str], many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_files, "MANY", many)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    found = look(paths)
    for path, file in zip(paths, found, strict=True):
        told = os.lstat(path)
        assert (file.inode, file.mode, file.size) == (told.st_ino, told.st_mode, told.st_size)
        assert file.changed == (told.st_mtime_ns, told.st_ctime_ns)
        assert STATE.unpack(file.state)[0] == told.st_dev
    hashed = read(list(zip(paths, found, strict=True)))
    assert [file.sha256.hex() for file in hashed] == [sha256_file(Path(path)) for path in paths]
    assert all(one.same_file(other) for one, other in zip(found, hashed, strict=True))


@pytest.mark.parametrize("many", [1, 1000], ids=["processes", "here"])
@pytest.mark.parametrize("spoil", ["absent", "link"])
def test_a_file_that_cannot_be_read_is_named(
    paths: list[str], many: int, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_files, "MANY", many)
    found = list(zip(paths, look(paths), strict=True))
    Path(paths[2]).unlink()
    if spoil == "link":
        Path(paths[2]).symlink_to(paths[0])
    with pytest.raises(OSError, match=r"No such file|symbolic links") as problem:
        read(found)
    assert problem.value.filename == paths[2]


@pytest.mark.parametrize("executable", ["", "/does/not/start", "/bin/false", "/bin/echo"])
def test_where_no_process_answers_it_is_done_here(
    paths: list[str], executable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = look(paths)
    monkeypatch.setattr(many_files, "MANY", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(sys, "executable", executable)
    assert look(paths) == expected


@given(st.tuples(*[st.integers(0, 2**63 - 1)] * 4), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_rows_are_read_as_they_were_written(state: tuple[int, ...], inode: int, mode: int) -> None:
    row = file_reader.ROW.pack(inode, mode, *state, b"\1" * 32)
    assert list(many_files.states(row)) == [FileState(inode, mode, STATE.pack(*state), b"\1" * 32)]
