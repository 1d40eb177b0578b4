"""registry.project.known_digests: hashed once, and again as soon as anything could have changed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from registry.digest import sha256_bytes
from registry.project import known_digests
from registry.project.known_digests import FILE, KnownDigests
from registry.project.many_files import FileState, look, read


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were hashed; a file counts as settled as soon as it is written."""
    names: list[str] = []

    def counted(files: Sequence[tuple[str, FileState]]) -> list[FileState]:
        names.extend(Path(path).name for path, _ in files)
        return read(files)

    monkeypatch.setattr(known_digests, "read", counted)
    monkeypatch.setattr(known_digests, "TICK", -1_000_000_000)
    monkeypatch.setattr(known_digests, "COARSE", -1_000_000_000)
    return names


def ask(root: Path, *, anew: bool = False) -> list[str]:
    paths = [str(path) for path in sorted(root.glob("*.txt"))]
    return KnownDigests(root, anew=anew).sha256(list(zip(paths, look(paths), strict=True)))[0]


def test_a_file_that_did_not_change_is_hashed_once(tmp_path: Path, hashed: list[str]) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    expected = [sha256_bytes(b"a.txt"), sha256_bytes(b"b.txt")]
    assert ask(tmp_path) == ask(tmp_path) == expected
    assert hashed == ["a.txt", "b.txt"]
    (tmp_path / "c.txt").write_text("c")
    assert ask(tmp_path) == [*expected, sha256_bytes(b"c")]
    assert hashed == ["a.txt", "b.txt", "c.txt"]
    assert ask(tmp_path, anew=True)[:2] == expected and len(hashed) == 6


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path, hashed: list[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    ask(tmp_path)
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ask(tmp_path) == [sha256_bytes(b"two")]


def test_another_file_of_that_name_is_hashed(tmp_path: Path, hashed: list[str]) -> None:
    (tmp_path / "a.txt").write_text("one")
    ask(tmp_path)
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").replace(tmp_path / "a.txt")
    assert ask(tmp_path) == [sha256_bytes(b"two")]


def test_nothing_is_kept_of_a_file_that_changed_just_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_digests, "TICK", 3600 * 10**9)
    (tmp_path / "a.txt").write_text("one")
    assert ask(tmp_path) == [sha256_bytes(b"one")]
    assert not (tmp_path / FILE).exists()


def test_nothing_is_kept_of_a_file_that_changes_meanwhile(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changes(files: Sequence[tuple[str, FileState]]) -> list[FileState]:
        (tmp_path / "a.txt").write_text("another")
        return read(files)

    monkeypatch.setattr(known_digests, "read", changes)
    (tmp_path / "a.txt").write_text("one")
    assert ask(tmp_path) == [sha256_bytes(b"another")]
    assert not (tmp_path / FILE).exists()
    monkeypatch.setattr(known_digests, "read", read)
    assert ask(tmp_path) == [sha256_bytes(b"another")]


@pytest.mark.parametrize("spoil", ["bytes", "directory", "other table", "nonsense"])
def test_a_store_that_cannot_be_used_is_done_without(tmp_path: Path, hashed: list[str], spoil: str) -> None:
    (tmp_path / "a.txt").write_text("one")
    ask(tmp_path)
    store = tmp_path / FILE
    if spoil == "bytes":
        store.write_bytes(os.urandom(5000))
    elif spoil == "directory":
        store.unlink()
        store.mkdir()
    else:
        with sqlite3.connect(store) as database:
            if spoil == "other table":
                database.execute("DROP TABLE files")
                database.execute("CREATE TABLE files (x)")
            else:
                database.execute("UPDATE files SET known = 'nonsense'")
        database.close()
    assert ask(tmp_path) == [sha256_bytes(b"one")]
    assert hashed == ["a.txt", "a.txt"]
