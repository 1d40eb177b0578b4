"""Somebody kills git, the kernel for want of memory, say: 503, nothing half-made, and later it goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.errors import Unavailable
from registry.server.check import examine
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.store import refs
from registry.server.store.places import REQUESTS
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import Answer, ask, commit, put

REPO = "glasshouse/one"
GIT = """#!/bin/sh
case " $* " in *" $(cat {folder}/kill 2>/dev/null || echo nothing) "*) kill -9 $$;; esac
exec {git} "$@"
"""
"""Git, that dies wherever its command is the one that the file `kill` names."""


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A server whose git dies when it is told to."""
    root = tmp_path_factory.mktemp("mortal")
    (root / "bin").mkdir()
    program = root / "bin" / "git"
    program.write_text(GIT.format(folder=program.parent, git=shutil.which("git")))
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    with HubInstance.start(root / "hub", variables={"PATH": path}) as hub:
        assert ask(hub, "POST", "/api/repos/create", {"name": "one", "organization": "glasshouse"})[0] == 200
        yield hub


def killing(hub: HubInstance, command: str | None) -> None:
    told = hub.root.parent / "bin" / "kill"
    told.unlink(missing_ok=True)
    if command is not None:
        told.write_text(command)


def folder(hub: HubInstance) -> Path:
    return hub.root / "repos" / "models" / f"{REPO}.git"


def declined(answer: Answer) -> bool:
    return answer[0] == 503 and answer[1]["retry-after"] == "5" and b"try again" in answer[2]


@pytest.mark.parametrize("command", ["hash-object", "update-index", "commit-tree", "update-ref"])
def test_a_commit_whose_git_is_killed_is_not_there_and_can_be_sent_again(mortal: HubInstance, command: str) -> None:
    before = refs.named(folder(mortal))
    for path in (f"api/models/{REPO}/commit/main", f"api/models/{REPO}/commit/main?create_pr=1"):
        killing(mortal, command)
        body = b'{"key": "header", "value": {"summary": "x"}}\n'
        body += b'{"key": "file", "value": {"path": "%s.txt", "content": "a"}}\n' % command.encode()
        assert declined(ask(mortal, "POST", f"/{path}", body))
        killing(mortal, None)
        assert refs.named(folder(mortal)) == before
        assert not list(folder(mortal).parent.glob(".commit-*")) and not list(folder(mortal).glob("index-*"))
        assert not list((folder(mortal) / REQUESTS).glob("*.json"))
    assert commit(mortal, REPO, put(f"{command}.txt", command))[0] == 200


def test_what_a_killed_git_locked_is_free_a_moment_later(mortal: HubInstance) -> None:
    """Of the refs that are changed, of HEAD, and of those that are packed: each would stop every change for ever."""
    locks = [folder(mortal) / name for name in ("refs/heads/main.lock", "HEAD.lock", "packed-refs.lock")]
    for lock in locks:
        lock.touch()
        assert declined(commit(mortal, REPO, put("b.txt", lock.name)))  # who made it may be at work
        os.utime(lock, (0, 0))
        assert commit(mortal, REPO, put("b.txt", lock.name))[0] == 200
    for lock in (folder(mortal) / "refs/tags/v1.lock", folder(mortal) / "refs/heads/b.lock"):
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
        os.utime(lock, (0, 0))
    assert ask(mortal, "POST", f"/api/models/{REPO}/tag/main", {"tag": "v1"})[0] == 200
    assert ask(mortal, "POST", f"/api/models/{REPO}/branch/b", {})[0] == 200
    assert ask(mortal, "DELETE", f"/api/models/{REPO}/branch/b")[0] == 200


def test_a_check_whose_git_is_killed_could_not_check(
    tmp_path: Path, mortal: HubInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    Repository.create(tmp_path / "repos", RepoName("models", "lab", "one"), "builder", {})
    monkeypatch.setenv("PATH", f"{mortal.root.parent / 'bin'}{os.pathsep}{os.environ['PATH']}")
    killing(mortal, "fsck")
    with pytest.raises(Unavailable):
        examine(tmp_path)
    killing(mortal, None)
    assert examine(tmp_path).faults == ()


def test_a_lock_that_was_made_just_now_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "HEAD.lock").touch()
    with pytest.raises(Problem):
        refs.free(tmp_path, "refs/heads/main")
    assert (tmp_path / "HEAD.lock").exists()
