"""What lies in a folder where others write is opened without following, waiting, or believing; with real files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.audit import hostile
from registry.errors import InputError


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A folder with a plain file in it, and a secret beside it."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret")
    (tmp_path / "scratch/made/deep").mkdir(parents=True)
    (tmp_path / "scratch/made/deep/file").write_text("made")
    return tmp_path / "scratch"


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        folder = Path.cwd()
        os.chdir(path.parent)  # its name may be no longer than 108 bytes
        try:
            server.bind(path.name)
        finally:
            os.chdir(folder)


STRANGE: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to("../../secret/file"),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a pipe": os.mkfifo,
    "a socket": a_socket,
    "a folder": Path.mkdir,
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_only_a_plain_file_is_opened(scratch: Path, kind: str) -> None:
    STRANGE[kind](scratch / "made/strange")
    with pytest.raises(InputError, match="strange is not to be had"):
        hostile.opened(scratch / "made/strange", scratch)
    with hostile.opened(scratch / "made/deep/file", scratch) as stream:
        assert stream.read() == b"made"
    assert hostile.plain(scratch / "made/deep/file", scratch) == scratch / "made/deep/file"


@pytest.mark.parametrize("part", ["made", "made/deep"])
def test_no_part_of_the_way_is_a_link(scratch: Path, part: str) -> None:
    (scratch / part).rename(scratch / "elsewhere")
    (scratch / part).symlink_to(scratch / "elsewhere")
    for refused in (hostile.opened, hostile.new_file, hostile.new_folder):
        with pytest.raises(InputError, match="not to be had"):
            refused(scratch / "made/deep/file", scratch)


def test_nothing_outside_is_named(scratch: Path) -> None:
    for path in (scratch / "../secret/file", scratch.parent / "secret/file", Path("/etc/passwd")):
        with pytest.raises(InputError, match="does not lie below"):
            hostile.opened(path, scratch)


def test_what_is_written_is_new(scratch: Path) -> None:
    """A link that stands there already, even one to nowhere, is not written through."""
    (scratch / "log").symlink_to("../secret/new")
    (scratch / "folder").symlink_to("../secret")
    with pytest.raises(InputError):
        hostile.new_file(scratch / "log", scratch)
    for make in (hostile.new_folder, hostile.folder):
        with pytest.raises(InputError):
            make(scratch / "folder", scratch)
    with hostile.new_file(scratch / "mine", scratch) as stream:
        stream.write(b"x")
    assert hostile.folder(hostile.new_folder(scratch / "own", scratch), scratch).is_dir()
    assert [path.name for path in (scratch.parent / "secret").iterdir()] == ["file"]


def test_what_is_taken_holds_plain_files_alone(scratch: Path) -> None:
    made = scratch / "made"
    for number, plant in enumerate(STRANGE.values()):
        plant(made / "deep" / str(number))
    os.link(scratch.parent / "secret/file", made / "second name")
    os.truncate(os.open(made / "large", os.O_CREAT | os.O_WRONLY), 1 << 30)
    hostile.take(made, scratch / "taken", scratch, max_bytes=1000)
    left = {str(path.relative_to(scratch)) for path in (scratch / "taken").rglob("*")}
    assert left == {"taken/deep", "taken/deep/file", "taken/deep/5"} and not made.exists()
    assert (scratch.parent / "secret/file").read_text() == "secret"


def test_a_second_name_is_left_where_that_is_asked_for(scratch: Path) -> None:
    os.link(scratch / "made/deep/file", scratch / "made/other")
    hostile.take(scratch / "made", scratch / "taken", scratch, max_bytes=1000, links=True)
    assert (scratch / "taken/other").read_text() == "made"


def test_a_link_in_place_of_the_folder_is_not_taken(scratch: Path) -> None:
    (scratch / "link").symlink_to("../secret")
    with pytest.raises(InputError, match="not to be had"):
        hostile.take(scratch / "link", scratch / "taken", scratch, max_bytes=1000)
    assert not os.path.lexists(scratch / "taken") and (scratch.parent / "secret/file").exists()


def test_what_is_too_deep_or_too_full_is_removed_unread(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = scratch / "deep"
    (deep / "/".join("d" * (hostile.MAX_DEPTH + 2))).mkdir(parents=True)
    monkeypatch.setattr(hostile, "MAX_FILES", 100)
    (scratch / "full").mkdir()
    for number in range(101):
        (scratch / "full" / str(number)).touch()
    for name in ("deep", "full"):
        with pytest.raises(InputError, match=r"it holds more than|more than 64 folders"):
            hostile.take(scratch / name, scratch / "taken", scratch, max_bytes=1000)
        assert not os.path.lexists(scratch / "taken")


def test_what_goes_is_the_file_and_not_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (below := tmp_path / "below").mkdir()
    (below / "link").symlink_to(tmp_path / "victim")
    (below / "out").symlink_to(tmp_path)
    (below / "folder").mkdir()
    for _ in range(2):  # what is gone is gone
        hostile.gone(below / "link", below)
    assert not (below / "link").is_symlink()
    for path in (below / "out/victim", below / "folder", below / "../victim"):
        with pytest.raises(InputError, match="is not to be had"):
            hostile.gone(path, below)
    hostile.gone(below / "absent/file", below)
    assert (tmp_path / "victim").read_text() == "mine"
