"""registry.project.git, against real repositories."""

import subprocess
from pathlib import Path

import pytest

from registry.errors import InputError
from registry.project import git


def run(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run(tmp_path, "init", "--quiet")
    (tmp_path / "a").write_text("1")
    run(tmp_path, "add", "a")
    run(tmp_path, "commit", "--quiet", "--message", "one")
    return tmp_path


def test_a_clean_tree_has_a_commit_and_no_changes(repository: Path) -> None:
    source = git.source(repository)
    assert len(source.commit) == 40 and source.committed_at.endswith("Z") and source.remote is None
    assert git.changes(repository) == ()
    assert git.tracked(repository, "a") and not git.tracked(repository, "b")


def test_changed_and_new_files_are_named(repository: Path) -> None:
    (repository / "a").write_text("2")
    (repository / "new one").write_text("3")
    assert sorted(git.changes(repository)) == ["a", "new one"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:secret@example.org/x.git", "https://example.org/x.git"),
        ("https://example.org:8443/x.git", "https://example.org:8443/x.git"),
        ("/some/path", None),
        ("file:///some/path", None),
    ],
)
def test_a_remote_is_told_without_credentials_and_only_if_others_can_reach_it(
    repository: Path, url: str, told: str | None
) -> None:
    run(repository, "remote", "add", "origin", url)
    assert git.source(repository).remote == told


def test_outside_a_repository_the_error_says_what_git_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(InputError, match="not a git repository"):
        git.source(tmp_path)
