"""Repositories that are copied, moved, squashed, and freed of large files; never what a signed release stands on."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from registry.server.access.tokens import Role
from registry.server.names import RepoName
from registry.server.store import git, refs
from registry.server.store.named import Tombstone
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    with HubInstance.start(tmp_path_factory.mktemp("lab"), organizations=("lab", "other")) as hub:
        yield hub


@pytest.fixture
def api(lab: HubInstance) -> HfApi:
    return HfApi(lab.url, lab.token)


def large(hub: HubInstance, repo: str, path: str, data: bytes, branch: str = "main") -> str:
    """Commit a large file; its SHA-256."""
    sha256 = upload(hub, repo, data)
    line = {"key": "lfsFile", "value": {"path": path, "oid": sha256, "size": len(data)}}
    assert commit(hub, repo, line, branch=branch)[0] == 200
    return sha256


def content(hub: HubInstance, repo: str, path: str, revision: str = "main") -> bytes | None:
    status, _, body = ask(hub, "GET", f"/{repo}/resolve/{revision}/{path}")
    return body if status == 200 else None


def test_a_copy_has_the_branches_the_tags_and_the_large_files(lab: HubInstance, api: HfApi) -> None:
    api.create_repo("lab/first", private=True)
    data = os.urandom(2000)
    large(lab, "lab/first", "a.bin", data)
    api.create_tag("lab/first", tag="v1")
    assert commit(lab, "lab/first", {"key": "deletedFile", "value": {"path": "a.bin"}})[0] == 200
    assert str(api.duplicate_repo("lab/first", "other/second").repo_id) == "other/second"
    assert content(lab, "other/second", "a.bin", "v1") == data and content(lab, "other/second", "a.bin") is None
    assert api.list_repo_commits("other/second")[0].commit_id == api.list_repo_commits("lab/first")[0].commit_id
    assert api.repo_info("other/second").private
    with pytest.raises(HfHubHTTPError, match="409"):
        api.duplicate_repo("lab/first", "other/second")
    with pytest.raises(HfHubHTTPError, match="403"):
        api.duplicate_repo("lab/first", "stranger/second")
    with pytest.raises(RepositoryNotFoundError):
        HfApi(lab.url, lab.user("nobody", Role.WRITE)).duplicate_repo("lab/first", "nobody/second")


def test_a_moved_repository_is_found_by_both_names(lab: HubInstance, api: HfApi) -> None:
    api.create_repo("lab/old")
    data = os.urandom(2000)
    large(lab, "lab/old", "a.bin", data)
    api.move_repo("lab/old", "other/new")
    assert content(lab, "lab/old", "a.bin") == content(lab, "other/new", "a.bin") == data
    assert api.model_info("lab/old").id == "other/new"
    assert [model.id for model in api.list_models(search="old")] == []
    for taken in ("lab/old", "other/new"):
        api.create_repo("lab/third", exist_ok=True)
        with pytest.raises(HfHubHTTPError, match=r"40[39]"):
            api.move_repo("lab/third", taken)
    with pytest.raises(HfHubHTTPError, match="403"):
        api.move_repo("other/new", "stranger/new")
    api.move_repo("other/new", "lab/old")  # it may be called again what it was called once
    assert api.model_info("other/new").id == api.model_info("lab/old").id == "lab/old"
    api.move_repo("lab/old", "other/new")
    api.update_repo_settings("other/new", visibility="private")
    assert ask(lab, "GET", "/api/models/lab/old", token="")[0] == 404


def test_a_move_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    name, new = RepoName("models", "lab", "a"), RepoName("models", "lab", "b")
    Repository.create(tmp_path, name, "alice", {})
    Tombstone(name, "alice", 0, {}, private=True, moved_to=new).write(tmp_path)  # and then the power went
    assert Repository.open(tmp_path, name).name == name
    assert Repository.open(tmp_path, name).move(tmp_path, new, "alice")
    assert Repository.open(tmp_path, name).name == new


def test_a_history_is_squashed_but_never_that_of_a_release(lab: HubInstance, api: HfApi) -> None:
    api.create_repo("lab/long")
    for number in range(3):
        assert commit(lab, "lab/long", put(f"{number}.txt"))[0] == 200
    api.super_squash_history("lab/long")
    (only,) = api.list_repo_commits("lab/long")
    assert "Super-squash" in only.title and content(lab, "lab/long", "2.txt") == b"text"
    assert commit(lab, "lab/long", put("model.sig"))[0] == 200
    api.create_tag("lab/long", tag="v1.0.0")
    assert commit(lab, "lab/long", put("later.txt"))[0] == 200
    api.create_branch("lab/long", branch="status")
    for branch in ("main", "status"):
        with pytest.raises(HfHubHTTPError, match="releases stand on"):
            api.super_squash_history("lab/long", branch=branch)


def test_large_files_are_listed_and_deleted_for_good(lab: HubInstance, api: HfApi) -> None:
    api.create_repo("lab/heavy")
    first, second, unsent = (os.urandom(1500 + n) for n in range(3))
    gone, kept = large(lab, "lab/heavy", "deep/gone.bin", first), large(lab, "lab/heavy", "kept.bin", second)
    never = upload(lab, "lab/heavy", unsent)
    rows = {row.file_oid: row for row in api.list_lfs_files("lab/heavy")}
    assert {row.filename for row in rows.values()} == {"deep/gone.bin", "kept.bin", ""} and rows[gone].ref == "main"
    api.permanently_delete_lfs_files("lab/heavy", [rows[never]], rewrite_history=False)
    with pytest.raises(HfHubHTTPError, match="delete it there first"):
        api.permanently_delete_lfs_files("lab/heavy", [rows[gone]], rewrite_history=False)
    before = len(api.list_repo_commits("lab/heavy"))
    api.permanently_delete_lfs_files("lab/heavy", [rows[gone]])
    assert [row.file_oid for row in api.list_lfs_files("lab/heavy")] == [kept]
    commits = api.list_repo_commits("lab/heavy")
    assert len(commits) == before and content(lab, "lab/heavy", "kept.bin") == second
    assert all(content(lab, "lab/heavy", "deep/gone.bin", each.commit_id) is None for each in commits)
    folder = lab.root / "repos" / "models" / "lab" / "heavy.git"
    subprocess.run(["git", f"--git-dir={folder}", "fsck", "--strict"], check=True, capture_output=True)
    assert gone not in git.run(folder, "rev-list", "--objects", "--all").decode()


def test_what_was_deleted_for_good_does_not_come_back_with_a_closed_request(lab: HubInstance) -> None:
    assert ask(lab, "POST", "/api/repos/create", {"name": "purged", "organization": "lab"})[0] == 200
    sha256 = upload(lab, "lab/purged", os.urandom(1800))
    line = {"key": "lfsFile", "value": {"path": "secret.bin", "oid": sha256, "size": 1800}}
    body = b"".join(json.dumps(each).encode() + b"\n" for each in ({"key": "header", "value": {"summary": "s"}}, line))
    assert ask(lab, "POST", "/api/models/lab/purged/commit/main?create_pr=1", body)[0] == 200
    status, file = "/api/models/lab/purged/discussions/1/status", "/lab/purged/resolve/refs%2Fpr%2F1/secret.bin"
    assert ask(lab, "GET", file)[0] == 200 and ask(lab, "POST", status, {"status": "closed"})[0] == 200
    purge = {"deletions": {"sha": [sha256], "rewriteHistory": True}}
    assert ask(lab, "POST", "/api/models/lab/purged/lfs-files/batch", purge)[0] == 200
    assert ask(lab, "POST", status, {"status": "open"})[0] == 200 and ask(lab, "GET", file)[0] == 404


def test_what_a_release_holds_is_not_deleted(lab: HubInstance, api: HfApi) -> None:
    api.create_repo("lab/signed")
    data = os.urandom(1600)
    held = large(lab, "lab/signed", "model.bin", data)
    assert commit(lab, "lab/signed", put("model.sig"))[0] == 200
    api.create_tag("lab/signed", tag="v1.0.0")
    later = large(lab, "lab/signed", "later.bin", os.urandom(1700))
    (row, last) = (next(r for r in api.list_lfs_files("lab/signed") if r.file_oid == sha) for sha in (held, later))
    with pytest.raises(HfHubHTTPError, match="in a signed release"):
        api.permanently_delete_lfs_files("lab/signed", [row, last])
    tagged = refs.named(lab.root / "repos/models/lab/signed.git")["refs/tags/v1.0.0"]
    api.permanently_delete_lfs_files("lab/signed", [last])
    assert refs.named(lab.root / "repos/models/lab/signed.git")["refs/tags/v1.0.0"] == tagged
    assert hashlib.sha256(content(lab, "lab/signed", "model.bin", "v1.0.0") or b"").hexdigest() == held
