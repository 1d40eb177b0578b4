"""registry.audit.source: what an auditor's own machine must not change, with real git."""

from pathlib import Path

import pytest

from registry.audit import source
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
