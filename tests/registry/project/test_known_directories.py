"""registry.project.known_directories: a large directory is known from one look at each file, and only as it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from registry.digest import sha256_bytes
from registry.errors import GlasshouseError
from registry.project import known_digests, measure
from registry.project.known_digests import KnownDigests
from registry.project.known_directories import FOLDER
from registry.project.many_files import FileState, read
from registry.project.measure import measure_paths


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a directory of files, more than a record lists; what is written counts as settled."""
    monkeypatch.setattr(known_digests, "TICK", -1_000_000_000)
    monkeypatch.setattr(known_digests, "COARSE", -1_000_000_000)
    monkeypatch.setattr(measure, "MAX_LISTED", 2)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".dvcignore").write_text("# nothing\n")
    for name in ("a", "b/c", "b/d", "z"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    return tmp_path


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories whose files were listed, as they are where not all is known."""
    paths: list[str] = []

    def counted(root: Path, path: str, *, bytecode: bool = False) -> list[str]:
        paths.append(path)
        return files(root, path, bytecode=bytecode)

    files = measure.files
    monkeypatch.setattr(measure, "files", counted)
    return paths


def digest(root: Path, *, anew: bool = False) -> str:
    return measure_paths(root, ["data"], known=KnownDigests(root, anew=anew))["data"].sha256


def test_a_directory_that_did_not_change_is_not_listed_again(project: Path, listed: list[str]) -> None:
    expected = measure_paths(project, ["data"])
    assert listed == ["data"]
    for _ in range(3):
        assert measure_paths(project, ["data"], known=KnownDigests(project)) == expected
    assert listed == ["data"] * 2
    assert digest(project, anew=True) == expected["data"].sha256
    assert listed == ["data"] * 3


def _same_size_and_time(root: Path) -> None:
    path = root / "data/a"
    before = path.stat()
    path.write_text("x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _exchanged(root: Path) -> None:
    (root / "data/a").rename(root / "data/y")
    (root / "data/z").rename(root / "data/a")
    (root / "data/y").rename(root / "data/z")


def _linked(root: Path) -> None:
    (root / "data/a").rename(root / "a")
    (root / "data/a").symlink_to(root / "a")
    (root / "a").write_text("other")


CHANGES: dict[str, Callable[[Path], object]] = {
    "same size and time": _same_size_and_time,
    "two exchanged": _exchanged,
    "a link": _linked,
    "one more": lambda root: (root / "data/b/e").write_text("e"),
    "one less": lambda root: (root / "data/b/c").unlink(),
    "another name": lambda root: (root / "data/b/c").rename(root / "data/b/e"),
    "another folder": lambda root: (root / "data/b/c").rename(root / "data/c"),
    "a rule above": lambda root: (root / ".dvcignore").write_text("z\n"),
    "a rule inside": lambda root: (root / "data/b/.dvcignore").write_text("d\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(project: Path, change: str) -> None:
    before = digest(project)
    assert digest(project) == before and list((project / FOLDER).iterdir())
    CHANGES[change](project)
    assert digest(project) == digest(project, anew=True) == measure_paths(project, ["data"])["data"].sha256 != before


@pytest.mark.parametrize("odd", ["left out", "link", "bytecode", "repository", "few"])
def test_nothing_is_kept_of_a_directory_that_is_not_plain(
    project: Path, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    match odd:
        case "left out":
            (project / ".dvcignore").write_text("z\n")
        case "link":
            (project / "data/link").symlink_to("a")
        case "bytecode":
            (project / "data/__pycache__").mkdir()
            (project / "data/__pycache__/a.pyc").write_text("a")
        case "repository":
            subprocess.run(["git", "init", "--quiet", "data/other"], cwd=project, check=True)
        case "few":
            monkeypatch.setattr(measure, "MAX_LISTED", 4)
    if odd == "repository":
        with pytest.raises(GlasshouseError):
            digest(project)
    else:
        assert digest(project) == measure_paths(project, ["data"])["data"].sha256
    assert not (project / FOLDER).exists()


def test_nothing_is_kept_of_a_directory_in_which_a_file_changed_just_before_or_meanwhile(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it can change again without a sign, or has changed already: neither is what was looked at."""
    monkeypatch.setattr(known_digests, "TICK", 3600 * 10**9)
    digest(project)
    assert not (project / FOLDER).exists()
    monkeypatch.setattr(known_digests, "TICK", -1_000_000_000)

    def changes(files: Sequence[tuple[str, FileState]]) -> list[FileState]:
        (project / "data/b/c").write_text("another")
        return read(files)

    monkeypatch.setattr(known_digests, "read", changes)
    digest(project)
    assert not (project / FOLDER).exists()


@pytest.mark.parametrize("spoil", ["bytes", "empty", "directory", "another path"])
def test_what_does_not_fit_is_measured(project: Path, listed: list[str], spoil: str) -> None:
    expected = digest(project)
    [kept] = (project / FOLDER).iterdir()
    data = kept.read_bytes()
    kept.unlink()
    match spoil:
        case "bytes":
            kept.write_bytes(data.replace(expected.encode(), b"0" * 63 + b"\n"))
        case "empty":
            kept.write_bytes(b"")
        case "directory":
            kept.mkdir()
        case "another path":
            kept.with_name("0" * 32).write_bytes(data)
    assert digest(project) == expected
    assert listed == ["data"] * 2


def test_what_is_kept_is_the_listing_that_the_digest_is_of(project: Path) -> None:
    expected = digest(project)
    [kept] = (project / FOLDER).iterdir()
    first, _, listing = kept.read_bytes().partition(b"\n")
    assert first.endswith(b" " + expected.encode())
    assert sha256_bytes(listing) == expected and listing.endswith(b"  z\n")
