"""registry.project.git, against real repositories."""

import subprocess
from pathlib import Path

import pytest

from registry.errors import InputError, Unavailable
from registry.project import command, git


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
    assert git.committed(repository) == {"a": "56a6051ca2b02b04ef92d5150c9ef600403cb1de"}


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
        ("git@host.example:org/p.git", "ssh://git@host.example/org/p.git"),
        ("host.example:/srv/p.git", "ssh://host.example/srv/p.git"),
        ("git@[2001:db8::1]:p.git", "ssh://git@[2001:db8::1]/p.git"),
        ("ssh://git@host.example:2222/org/p.git", "ssh://git@host.example:2222/org/p.git"),
        ("ssh://git:secret@host.example/p.git", "ssh://git@host.example/p.git"),
        ("http://[2001:db8::1]:3000/org/p", "http://[2001:db8::1]:3000/org/p"),
        ("https://[2001:db8::1/p", None),
        ("https://host.example:port/p", None),
        ("C:/Users/me/p", None),
        ("../p", None),
        ("foo::https://host.example/p", None),
        (f"https://host.example/{'x' * 1000}", None),
    ],
)
def test_a_remote_is_told_without_credentials_and_only_if_others_can_reach_it(
    repository: Path, url: str, told: str | None
) -> None:
    run(repository, "remote", "add", "origin", url)
    assert git.source(repository).remote == told


def test_the_only_remote_is_told_whatever_its_name_and_of_several_only_origin(repository: Path) -> None:
    run(repository, "remote", "add", "forge", "git@host.example:p.git")
    assert git.source(repository).remote == "ssh://git@host.example/p.git"
    run(repository, "remote", "add", "other", "git@host.example:q.git")
    assert git.source(repository).remote is None


def test_outside_a_repository_the_error_says_what_git_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a git repository"):
        git.source(tmp_path)


def test_all_that_git_said_is_told(repository: Path) -> None:
    with pytest.raises(InputError, match=r"`git checkout nowhere` failed with 1: error: .*nowhere"):
        git.ask(repository, "checkout", "nowhere")
    with pytest.raises(InputError, match=r"usage: git ls-tree .*; .*--name-only"):
        git.ask(repository, "ls-tree")


@pytest.mark.parametrize(
    "words",
    ["error: copy-fd: write returned: No space left on device", "fatal: index.lock write error. Out of diskspace"],
)
def test_a_full_disk_is_not_the_repository_s_fault(words: str, tmp_path: Path) -> None:
    (tmp_path / "fails").write_text(f"echo '{words}' >&2; exit 128")
    with pytest.raises(Unavailable, match=f"`sh fails` failed with 128: {words}") as problem:
        command.run(["sh", "fails"], tmp_path)
    assert "make room on the disk" in problem.value.mend


def test_git_sees_no_tokens_and_no_variable_that_leads_it_elsewhere(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    run(elsewhere, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(elsewhere / "index"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.worktree")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(elsewhere))
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert git.committed(repository).keys() == {"a"} and git.changes(repository) == ()
    assert "HF_TOKEN" not in git.ask(repository, "-c", "alias.seen=!env", "seen")


def test_a_persons_settings_change_no_answer(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed HEAD under `log.showSignature` once made two words of git's answer into many."""
    home = tmp_path_factory.mktemp("home")
    (home / "ran").write_text("#!/bin/sh\ntouch ran-indeed\n")
    (home / "ran").chmod(0o755)
    settings = {"log.showSignature": "true", "core.fsmonitor": str(home / "ran"), "status.short": "true"}
    (home / ".gitconfig").write_text(
        "".join(f"[{key.split('.')[0]}]\n{key.split('.')[1]} = {value}\n" for key, value in settings.items())
    )
    monkeypatch.setenv("HOME", str(home))
    assert len(git.source(repository).commit) == 40 and git.changes(repository) == ()
    assert not (repository / "ran-indeed").exists()


def test_a_mirror_of_this_machine_is_not_what_others_are_told(repository: Path) -> None:
    for name, base in (("https://mirror.example/", "https://host.example/"), ("https://short.example/", "short:")):
        run(repository, "config", f"url.{name}.insteadOf", base)
    run(repository, "remote", "add", "origin", "https://host.example/p.git")
    assert git.source(repository).remote == "https://host.example/p.git"
    run(repository, "remote", "set-url", "origin", "short:p.git")
    assert git.source(repository).remote == "https://short.example/p.git"


def test_whether_a_remote_has_the_commit_is_told(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    forge = tmp_path_factory.mktemp("forge")
    run(forge, "init", "--quiet", "--bare")
    run(repository, "remote", "add", "origin", str(forge))
    assert not git.source(repository).pushed
    run(repository, "push", "--quiet", "origin", "HEAD:main")
    assert git.source(repository).pushed
    run(repository, "commit", "--quiet", "--allow-empty", "--message", "two")
    assert not git.source(repository).pushed
