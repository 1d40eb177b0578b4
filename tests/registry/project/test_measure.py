"""registry.project.measure, against what the shell says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from registry.digest import sha256_bytes
from registry.errors import GlasshouseError
from registry.project.measure import measure_paths
from registry.records import run as runs

LISTING = "find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum | sha256sum | cut -f1 -d' '"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git repository with a .dvcignore, a tracked directory and an ignored one."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for path, text in {
        ".dvcignore": "__pycache__/\n*.tmp\n!kept.tmp\n",
        ".gitignore": "/build/\n",
        "code/b.py": "b",
        "code/a/z.py": "z",
        "code/a-b": "order",
        "build/out/x": "x",
        "build/file": "file",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    return tmp_path


def test_a_directory_s_digest_is_what_the_shell_makes_of_it(project: Path) -> None:
    found = measure_paths(project, ["code", "build/out"])
    for path in ("code", "build/out"):
        said = subprocess.run(["sh", "-c", LISTING], cwd=project / path, capture_output=True, text=True, check=True)
        assert found[path].sha256 == said.stdout.strip()


def test_what_dvc_ignores_does_not_count_and_what_git_ignores_does(project: Path) -> None:
    before = measure_paths(project, ["code", "build/out"])
    for path in ("code/__pycache__/b.pyc", "code/a/x.tmp", "code/.git-not/../a/y.tmp"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("ignored")
    assert measure_paths(project, ["code", "build/out"]) == before
    (project / "code/kept.tmp").write_text("kept")
    assert (measure_paths(project, ["code"])["code"].files or {}).keys() == {"a-b", "a/z.py", "b.py", "kept.tmp"}


def test_a_link_to_a_file_counts_as_the_file(project: Path) -> None:
    (project / "build/out/x").rename(project / "cache")
    (project / "build/out/x").symlink_to(project / "cache")
    assert measure_paths(project, ["build/out"])["build/out"].files == {"x": sha256_bytes(b"x")}


def test_a_directory_on_another_disk_counts_as_what_it_holds(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("disk") / "out"
    shutil.copytree(project / "build/out", elsewhere)
    (project / "linked").symlink_to(elsewhere)
    linked, plain = measure_paths(project, ["linked", "build/out"]).values()
    assert (linked.sha256, linked.files) == (plain.sha256, plain.files)


def test_a_directory_of_many_files_is_named_by_its_digest_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure_paths(project, ["code"])["code"]
    monkeypatch.setattr("registry.project.measure.MAX_LISTED", 2)
    alone = measure_paths(project, ["code"])["code"]
    assert (alone.sha256, alone.files, alone.listed) == (whole.sha256, {}, False)
    assert runs.MAX_LISTED == 1000


@pytest.mark.parametrize("spoil", ["absent", "link to a directory", "link to nothing", "repository", "a\\b"])
def test_what_cannot_be_measured_is_named(project: Path, spoil: str) -> None:
    inside = project / "code" / "odd"
    match spoil:
        case "link to a directory":
            inside.symlink_to(project / "build")
        case "link to nothing":
            inside.symlink_to("nowhere")
        case "repository":
            subprocess.run(["git", "init", "--quiet", str(inside)], check=True)
            (inside / "file").write_text("hidden from the outer repository")
        case "a\\b":
            (project / "code" / spoil).write_text("")
    with pytest.raises(GlasshouseError) as problem:
        measure_paths(project, ["absent" if spoil == "absent" else "code"])
    assert problem.value.mend
