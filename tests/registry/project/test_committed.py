"""registry.project.committed: nothing that git can be told hides a change from it; with real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.digest import sha256_bytes
from registry.errors import Refused
from registry.project.committed import POINTER, Committed
from registry.project.measure import measure_paths
from tests.registry.project.small_dvc import commit, git

LARGE = b"a large file"
FILES = {
    "code/a.py": b"a\n",
    "code/sub/b.py": b"b\n",
    "large": POINTER.format(sha256=sha256_bytes(LARGE), size=len(LARGE)).encode(),
    ".gitignore": b"/mixed/out\n",
    "mixed/in": b"in",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link").symlink_to("code/a.py")
    git("init", "--quiet", root=tmp_path)
    commit(tmp_path)
    (tmp_path / "mixed/out").write_bytes(b"out")
    return tmp_path


def held(root: Path, *paths: str) -> list[str]:
    committed = Committed.at_head(root)
    committed.check(paths)
    return [item.path for item in measure_paths(root, paths).values() if committed.holds(item)]


def test_files_and_directories_of_the_commit_are_told_from_others(project: Path) -> None:
    assert held(project, "code", "code/a.py", "link", "large", "mixed", "mixed/in", "mixed/out") == [
        *("code", "code/a.py", "large", "link", "mixed/in"),
    ]


def test_a_file_of_git_lfs_is_committed_where_the_pointer_names_its_bytes(project: Path) -> None:
    (project / "large").write_bytes(LARGE)
    assert held(project, "large") == ["large"]
    (project / "large").write_bytes(LARGE.upper())
    with pytest.raises(Refused, match="large: not the bytes"):
        held(project, "large")


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
@pytest.mark.parametrize("path", ["code", "code/a.py", "link"])
def test_a_change_that_git_is_told_to_overlook_is_refused(project: Path, flag: str, path: str) -> None:
    git("update-index", flag, "code/a.py", root=project)
    (project / "code/a.py").write_bytes(b"x\n")
    with pytest.raises(Refused, match=r"not the bytes that the commit has") as problem:
        held(project, path)
    assert "--no-skip-worktree" in problem.value.mend
    assert held(project, "code/sub") == ["code/sub"]
    (project / "code/a.py").unlink()
    with pytest.raises(Refused, match=r"code/a.py: not the bytes"):
        held(project, "code")


def test_line_ends_and_filters_hide_no_change(project: Path) -> None:
    git("config", "core.autocrlf", "true", root=project)
    (project / "code/a.py").write_bytes(b"a\r\n")
    with pytest.raises(Refused, match=r"code/a.py: not"):
        held(project, "code")
    git("config", "filter.same.clean", "echo b", root=project)
    (project / ".git/info/attributes").write_text("* filter=same\n")
    (project / "code/sub/b.py").write_bytes(b"evil")
    with pytest.raises(Refused, match=r"code/sub/b.py: not"):
        held(project, "code/sub")


def test_a_repository_of_sha_256_is_read_as_well(tmp_path: Path) -> None:
    git("init", "--quiet", "--object-format=sha256", root=tmp_path)
    (tmp_path / "a").write_bytes(b"a")
    commit(tmp_path)
    assert held(tmp_path, "a") == ["a"]


def test_code_in_a_submodule_is_that_of_the_commit_which_the_commit_names(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    library = tmp_path_factory.mktemp("library")
    (library / "pack").mkdir(parents=True)
    (library / "pack/c.py").write_bytes(b"c\n")
    git("init", "--quiet", root=library)
    commit(library)
    allowed = ("-c", "protocol.file.allow=always")
    git(*allowed, "submodule", "--quiet", "add", str(library), "lib", root=project)
    assert held(project, "lib/pack/c.py") == []
    commit(project)
    assert held(project, "lib", "lib/pack", "lib/pack/c.py") == ["lib", "lib/pack", "lib/pack/c.py"]
    (project / "lib/pack/c.py").write_bytes(b"other\n")
    with pytest.raises(Refused, match=r"lib/pack/c\.py: not the bytes"):
        held(project, "lib/pack/c.py")


def test_files_of_the_commit_are_told_inside_a_directory_that_holds_others_however_many(project: Path) -> None:
    [mixed] = measure_paths(project, ["mixed"]).values()
    large = mixed.model_copy(update={"files": {}})  # as a record has a directory of too many files
    committed = Committed.at_head(project)
    assert committed.held_in(mixed) == committed.held_in(large) == {"mixed/in"}
    (project / "mixed/in").write_bytes(b"other")
    assert Committed.at_head(project).held_in(large) == set()
