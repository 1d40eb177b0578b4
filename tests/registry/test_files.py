"""registry.files: the old file or the new one, never half of either."""

from pathlib import Path

import pytest

from registry.files import directory_beside, write_atomic


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_atomic(tmp_path / "deep" / "f", b"one")
    write_atomic(tmp_path / "deep" / "f", b"two")
    assert (tmp_path / "deep" / "f").read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["f"]


def test_a_directory_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    with directory_beside(tmp_path / "d") as folder:
        (folder / "x").write_text("old")
    with pytest.raises(KeyboardInterrupt), directory_beside(tmp_path / "d") as folder:
        (folder / "x").write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "d" / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    with directory_beside(tmp_path / "d") as folder:
        (folder / "y").write_text("new")
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["y"]
