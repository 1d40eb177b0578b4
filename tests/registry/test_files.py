"""registry.files: the old file or the new one, never half of either."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


WRITER = """
import os, sys
from pathlib import Path
import registry.files as files
path, fsync = Path(sys.argv[1]), os.fsync
def pause(descriptor):
    os.fsync = fsync
    print("ready", flush=True)
    sys.stdin.read()
if sys.argv[2] == "file":
    os.fsync = pause
    files.write_atomic(path, b"half")
else:
    with files.directory_beside(path) as folder:
        (folder / "half").mkdir()
        (folder / "half" / "x").write_text("half")
        print("ready", flush=True)
        sys.stdin.read()
"""


@contextmanager
def writing(path: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """A process in the midst of writing to `path`: it ends well once its input is closed."""
    command = [sys.executable, "-c", WRITER, str(path), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
        child.stdin.close()


def write(path: Path, kind: str) -> None:
    if kind == "file":
        write_atomic(path, b"new")
    else:
        with directory_beside(path) as folder:
            (folder / "new").touch()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_a_killed_process_left_is_gone_with_the_next_one(tmp_path: Path, kind: str) -> None:
    with writing(tmp_path / "model", kind) as first, writing(tmp_path / "model", kind) as second:
        for child in (first, second):
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
    assert names(tmp_path) == [".model.glasshouse0", ".model.glasshouse1"]
    write(tmp_path / "model", kind)
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model").read_bytes() == b"new" if kind == "file" else names(tmp_path / "model") == ["new"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_another_process_is_writing_stays(tmp_path: Path, kind: str) -> None:
    with writing(tmp_path / "model", kind) as other:
        write(tmp_path / "model", kind)
        assert names(tmp_path) == [".model.glasshouse0", "model"]
    assert other.returncode == 0 and names(tmp_path) == ["model"]
    assert (tmp_path / "model").read_bytes() == b"half" if kind == "file" else names(tmp_path / "model") == ["half"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_is_not_ours_stays(tmp_path: Path, kind: str) -> None:
    """Names of others, links, and what is of another kind."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("kept")
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / ".model.backup_1").mkdir()
    (folder / ".model.glasshouse0").symlink_to(elsewhere / "precious" if kind == "file" else elsewhere)
    os.mkfifo(folder / ".model.glasshouse1")
    before = names(folder)
    write(folder / "model", kind)
    assert names(folder) == [*before, "model"] and (elsewhere / "precious").read_text() == "kept"


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_disk_without_locks_is_written_to_and_nothing_is_taken_for_left(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("registry.files.fcntl.flock", no_locks)
    left = tmp_path / ".model.glasshouse0"
    left.touch() if kind == "file" else left.mkdir()
    write(tmp_path / "model", kind)
    assert names(tmp_path) == [".model.glasshouse0", "model"]
