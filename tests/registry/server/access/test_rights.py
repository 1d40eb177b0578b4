"""Who may do what: what is private is not there for others, and some things are for nobody."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.errors import CredentialsError, InputError
from registry.hub.client import HubClient
from registry.server.access import rights
from registry.server.access.people import NamespaceRole
from registry.server.access.rights import User
from registry.server.access.tokens import Role
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.store import pulls
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, batch, put, upload


@pytest.fixture
def private(hub: HubInstance, client: HubClient, folder: Path, repo: str) -> str:
    """A private repository with a commit."""
    name = f"{repo}-private"
    client.repos.ensure(name, private=True)
    client.trees.publish(name, folder, "Release", client.refs.head(name))
    return name


def test_a_private_repository_is_not_there_for_others(hub: HubInstance, private: str, tmp_path: Path) -> None:
    reader, stranger = hub.user("reader", Role.READ, "glasshouse"), hub.user("stranger", Role.WRITE)
    paths = (
        f"/api/models/{private}", f"/api/models/{private}/tree/main", f"/{private}/resolve/main/README.md",
        f"/api/models/{private}/refs", f"/api/models/{private}/discussions",
    )  # fmt: skip
    for path in paths:
        assert ask(hub, "GET", path, token=reader)[0] == 200
        assert ask(hub, "GET", path, token=stranger)[0] == 404
        assert ask(hub, "GET", path, token="")[0] == 404
    assert ask(hub, "GET", f"/{private}/info/refs?service=git-upload-pack", token="")[0] == 401
    assert HubClient(hub.url, reader).refs.resolve(private, "main")
    with pytest.raises(InputError, match="has no"):
        HubClient(hub.url, stranger).refs.resolve(private, "main")
    for token, ends in ((reader, 0), ("", 128), (stranger, 128)):
        url = hub.url.replace("http://", f"http://user:{token}@" if token else "http://")
        command = ["git", "clone", "--quiet", f"{url}/{private}", str(tmp_path / f"clone-{token[-6:]}")]
        done = subprocess.run(command, capture_output=True, env=os.environ | {"GIT_TERMINAL_PROMPT": "0"}, check=False)
        assert done.returncode == ends, done.stderr


def test_it_can_be_opened_and_closed(hub: HubInstance, client: HubClient, repo: str) -> None:
    def visible() -> int:
        return ask(hub, "GET", f"/api/models/{repo}", token="")[0]

    assert visible() == 200
    client.connection.api.update_repo_settings(repo, private=True)
    assert visible() == 404 and client.connection.api.repo_info(repo).private is True
    client.connection.api.update_repo_settings(repo, visibility="public")
    assert visible() == 200
    reader = hub.user("reader", Role.READ, "glasshouse")
    assert ask(hub, "PUT", f"/api/models/{repo}/settings", {"visibility": "private"}, token=reader)[0] == 403


def test_reading_tokens_change_nothing(hub: HubInstance, repo: str) -> None:
    token = hub.user("reader", Role.READ, "glasshouse")
    header = b'{"key":"header","value":{"summary":"x"}}\n'
    for path, body in (
        (f"/api/models/{repo}/commit/main", header),
        (f"/api/models/{repo}/commit/main?create_pr=1", header),
        (f"/api/models/{repo}/tag/main", {"tag": "v1"}),
        (f"/api/models/{repo}/branch/x", {}),
        (f"/api/models/{repo}/preupload/main", {"files": []}),
        (f"/{repo}.git/info/lfs/objects/batch", {"operation": "upload", "objects": []}),
        ("/api/repos/create", {"name": "mine", "organization": "glasshouse"}),
    ):
        assert ask(hub, "POST", path, body, token=token)[0] == 403, path
    answer = json.loads(ask(hub, "GET", "/api/whoami-v2", token=token)[2])
    assert answer["auth"]["accessToken"]["role"] == "read" and answer["orgs"][0]["roleInOrg"] == "read"


def test_a_digest_alone_opens_nothing(hub: HubInstance, client: HubClient, private: str, repo: str) -> None:
    """Knowing the SHA-256 of a private file does not bring its bytes to another repository."""
    secret = b"secret weights" * 1000
    sha256 = upload(hub, private, secret)
    thief = hub.user("thief", Role.WRITE)
    assert ask(hub, "POST", "/api/repos/create", {"name": "mine"}, token=thief)[0] == 200
    body = {"operation": "download", "objects": [{"oid": sha256, "size": len(secret)}]}
    answer = json.loads(ask(hub, "POST", "/thief/mine.git/info/lfs/objects/batch", body, token=thief)[2])
    assert answer["objects"][0]["error"]["code"] == 404
    body["operation"] = "upload"
    answer = json.loads(ask(hub, "POST", "/thief/mine.git/info/lfs/objects/batch", body, token=thief)[2])
    assert "upload" in answer["objects"][0]["actions"]  # as if nobody had it
    line = {"key": "lfsFile", "value": {"path": "x.bin", "oid": sha256, "algo": "sha256", "size": len(secret)}}
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(secret)}\n"
    for change, status in ((line, 400), (put("x.bin", pointer), 400)):
        data = b"\n".join(json.dumps(row).encode() for row in ({"key": "header", "value": {}}, change))
        assert ask(hub, "POST", "/api/models/thief/mine/commit/main", data, token=thief)[0] == status
    assert ask(hub, "GET", "/thief/mine/resolve/main/x.bin", token=thief)[0] == 404
    assert "actions" not in batch(hub, private, sha256, len(secret))


def test_deleting_needs_an_owner_or_an_admin_and_leaves_a_tombstone(
    hub: HubInstance, client: HubClient, repo: str, folder: Path
) -> None:
    commit_id = client.trees.publish(repo, folder, "Release", client.refs.head(repo))
    client.refs.tag(repo, "v1.0.0", commit_id, "Release")
    body = {"name": repo.split("/")[1], "organization": "glasshouse", "type": "model"}
    assert ask(hub, "DELETE", "/api/repos/delete", body)[0] == 403
    admin = HubClient(hub.url, hub.user("root", Role.ADMIN))
    admin.connection.api.delete_repo(repo)
    assert not client.repos.exists(repo)
    status, headers, answer = ask(hub, "GET", f"/api/models/{repo}")
    assert (status, headers["x-error-code"]) == (404, "RepoNotFound") and b"deleted" in answer
    for again in (client, admin):
        with pytest.raises((CredentialsError, InputError)):
            again.repos.ensure(repo)
    tombstone = json.loads((hub.root / "repos" / "models" / f"{repo}.tombstone").read_text())
    assert tombstone["deletedBy"] == "root" and tombstone["tags"] == {"v1.0.0": commit_id}
    assert not list((hub.root / "repos" / "models" / "glasshouse").glob(".gone-*"))


def test_an_owner_deletes_what_is_not_released(hub: HubInstance, client: HubClient, repo: str, folder: Path) -> None:
    """As on the public Hub. What others may rely on is an admin's to take away: a release, and what was said of it."""
    owner, reader = hub.user("keeper", Role.WRITE), hub.user("keeper", Role.READ)
    for name in ("mine", "released", "audited"):
        body = {"name": name, "type": "model"}
        assert ask(hub, "POST", "/api/repos/create", body, token=owner)[0] == 200
    assert ask(hub, "DELETE", "/api/repos/delete", {"name": "mine"}, token=reader)[0] == 403
    assert ask(hub, "DELETE", "/api/repos/delete", {"name": "mine"}, token=owner)[0] == 200
    keeper = HubClient(hub.url, owner)
    (folder / "model.sig").write_text("{}")
    made = keeper.trees.publish("keeper/released", folder, "Release", keeper.refs.head("keeper/released"))
    keeper.refs.tag("keeper/released", "v1.0.0", made, "Release")
    assert ask(hub, "POST", "/api/models/keeper/audited/branch/audits", {}, token=owner)[0] == 200
    for name in ("released", "audited"):
        status, _, answer = ask(hub, "DELETE", "/api/repos/delete", {"name": name}, token=owner)
        assert status == 403 and b"only an admin" in answer
        assert ask(hub, "DELETE", "/api/repos/delete", {"name": name, "organization": "keeper"},
                   token=hub.user("root", Role.ADMIN))[0] == 200  # fmt: skip


@pytest.mark.parametrize("token", ["", "nobody-has-this"])
@pytest.mark.parametrize("path", ["preupload/main", "commit/main", "tag/main", "branch/x"])
def test_nobody_writes_without_a_token(hub: HubInstance, repo: str, token: str, path: str) -> None:
    assert ask(hub, "POST", f"/api/models/{repo}/{path}", {"files": [], "tag": "x"}, token=token)[0] == 401


@pytest.mark.parametrize(
    ("user", "may"),
    [
        (User("owner"), "propose write delete"),
        (User("other", {"owner": NamespaceRole.WRITE}), "propose write"),
        (User("other", {"owner": NamespaceRole.OWNER}), "propose write delete"),
        (User("owner", is_person=False), "propose write"),
        (User("other", {"owner": NamespaceRole.READ}), "propose"),
        (User("other", {"owner": NamespaceRole.WRITE}, Role.READ), ""),
        (User("other"), "propose"),
        (User("owner", role=Role.READ), ""),
        (User("owner", only=("owner/another",)), ""),
        (User("owner", only=("owner/model",)), "propose write delete"),
        (User("other", only=("owner",)), "propose"),
        (User("OWNER"), "propose"),
        (User("root", role=Role.ADMIN, only=("other",)), ""),
        (User("root", role=Role.ADMIN), "propose write delete"),
    ],
)
def test_each_right_is_a_problem_for_whom_it_is_not(tmp_path: Path, user: User, may: str) -> None:
    name = RepoName("models", "owner", "model")
    Repository.create(tmp_path, name, "owner", {"a.txt": b"text"})
    repo = Repository.open(tmp_path, name)
    checks: dict[str, Callable[[], None]] = {
        "propose": lambda: rights.check_propose(user, repo),
        "write": lambda: rights.check_write(user, repo),
        "delete": lambda: rights.check_delete(user, repo),
    }
    for right, check in checks.items():
        if right in may.split():
            check()
        else:
            with pytest.raises(Problem) as declined:
                check()
            assert declined.value.status == 403
    assert (rights.max_commit(user, repo) == rights.MAX_PROPOSAL) == ("write" not in may)


def test_a_request_is_its_author_s_and_the_owners_to_change(tmp_path: Path) -> None:
    name = RepoName("models", "owner", "model")
    Repository.create(tmp_path, name, "owner", {"a.txt": b"text"})
    repo = Repository.open(tmp_path, name)
    pull = pulls.create(repo, "author", "A change", "")
    for user in (User("author"), User("owner"), User("root", role=Role.ADMIN)):
        assert rights.changeable(user, repo, pull.number) == pull
    for user in (User("stranger"), User("owner", role=Role.READ)):
        with pytest.raises(Problem, match="is of author"):
            rights.changeable(user, repo, pull.number)
    with pytest.raises(Problem, match="no pull request 2"):
        rights.changeable(User("owner"), repo, 2)
