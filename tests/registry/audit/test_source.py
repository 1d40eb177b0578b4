"""registry.audit.source: what an auditor's own machine must not change, with real git."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from registry.audit import source
from registry.audit.sandbox import Allowance
from registry.digest import sha256_bytes
from registry.errors import Unavailable, VerificationError
from registry.project import git
from registry.records.project import LOCK
from registry.records.release_record import SourceCode
from tests.registry.project import small_dvc

FILES = {name: f"{name}: 1\n" for name in ("dvc.yaml", "dvc.lock", "params.yaml", LOCK)}
HELD = {name: sha256_bytes(text.encode()) for name, text in FILES.items()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with the files that a release signs."""
    root = tmp_path / "project"
    for name, text in FILES.items():
        root.mkdir(exist_ok=True)
        (root / name).write_text(text)
    small_dvc.git("init", "--quiet", root=root)
    small_dvc.commit(root)
    return root


def code(project: Path, remote: str | None = None) -> SourceCode:
    found = git.source(project)
    return SourceCode(commit=found.commit, committed_at=found.committed_at, remote=remote, folder=found.folder)


def test_an_auditors_variables_and_settings_accuse_nobody(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line ends of Windows, attributes of their own, and a hook's GIT_DIR, whose HEAD must stay where it is."""
    (tmp_path / "home").mkdir()
    (tmp_path / "attributes").write_text("* text eol=crlf\n")
    config = f"[core]\nautocrlf = true\nattributesFile = {tmp_path / 'attributes'}\n"
    (tmp_path / "home/.gitconfig").write_text(config)
    own = tmp_path / "own"
    own.mkdir()
    (own / "a").write_text("1")
    small_dvc.git("init", "--quiet", root=own)
    small_dvc.commit(own)
    head = (own / ".git/HEAD").read_text()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_DIR", str(own / ".git"))
    source.fetch(code(project), str(project), tmp_path / "tree", HELD)
    assert (tmp_path / "tree/params.yaml").read_bytes() == FILES["params.yaml"].encode()
    assert (own / ".git/HEAD").read_text() == head


def test_an_address_of_a_release_runs_no_helper(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "bin/git-remote-foo"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    with pytest.raises(Unavailable, match="transport 'foo' not allowed"):
        source.fetch(code(project, "foo::bar"), None, tmp_path / "tree", HELD)
    assert not (tmp_path / "ran").exists()


def test_a_server_that_never_answers_is_given_up(project: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        remote = f"http://127.0.0.1:{server.getsockname()[1]}/x.git"
        with pytest.raises(Unavailable, match=r"`git clone --quiet` was ended: it ran for more than 1 seconds"):
            source.fetch(code(project, remote), None, tmp_path / "tree", HELD, Allowance(seconds=1))


def test_a_tree_that_unpacks_to_more_than_the_disk_is_to_hold_is_not_laid_out(project: Path, tmp_path: Path) -> None:
    """A bomb for git: some trees, each of which names the one before many times."""
    free = shutil.disk_usage(tmp_path).free
    (project / "large").write_bytes(os.urandom(8 << 20))
    small_dvc.git("add", "large", root=project)
    tree = git.ask(project, "write-tree").strip()
    for _ in range(3):
        rows = "".join(f"040000 tree {tree}\t{number}\n" for number in range(10))
        made = subprocess.run(["git", "mktree"], cwd=project, input=rows, capture_output=True, text=True, check=True)
        tree = made.stdout.strip()
    commit = git.ask(project, "commit-tree", tree, "-m", "a bomb").strip()
    small_dvc.git("update-ref", "HEAD", commit, root=project)
    told = code(project).model_copy(update={"commit": commit})
    with pytest.raises(Unavailable, match="on the disk"):
        source.fetch(told, str(project), tmp_path / "tree", HELD, Allowance(free=free - (200 << 20)))


def test_a_project_in_a_folder_of_its_repository_is_found_there(project: Path, tmp_path: Path) -> None:
    inside = tmp_path / "whole/models/small"
    inside.mkdir(parents=True)
    for name, text in FILES.items():
        (inside / name).write_text(text)
    (inside.parent / "link").symlink_to("small")
    small_dvc.git("init", "--quiet", root=tmp_path / "whole")
    small_dvc.commit(tmp_path / "whole")
    told = code(inside)
    assert told.folder == "models/small" and git.committed(inside).keys() == FILES.keys()
    assert source.fetch(told, str(tmp_path / "whole"), tmp_path / "tree", HELD) == tmp_path / "tree/models/small"
    for number, lie in enumerate(("models/link", "models/other", None)):
        other = told.model_copy(update={"folder": lie})
        with pytest.raises(VerificationError, match=r"has no folder|no plain file"):
            source.fetch(other, str(tmp_path / "whole"), tmp_path / f"tree{number}", HELD)
