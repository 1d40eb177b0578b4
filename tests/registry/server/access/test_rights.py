"""Who may do what: tokens and roles, private repositories, releases that stay, tombstones, contents by right."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import CredentialsError, InputError
from registry.hub.client import HubClient
from registry.server.access import auth
from registry.server.access.tokens import Role, TokenStore, User
from registry.server.problems import Problem
from registry.server.store.ledger import FILE, Ledger
from tests.hub_instance import HubInstance
from tests.registry.server.routes.test_protocol import ask, batch, put, upload

COMMAND = Path(sys.executable).parent / "glasshouse"


def test_tokens_live_until_they_are_revoked(tmp_path: Path) -> None:
    store, worker = TokenStore(tmp_path), TokenStore(tmp_path)
    made, token = store.create("ci", Role.WRITE, ("lab",))
    assert worker.user(token) == User("ci", ("lab",), Role.WRITE)
    assert token not in (tmp_path / "tokens.json").read_text()
    _, other = store.create("guest", Role.READ)
    assert worker.user(other) == User("guest", (), Role.READ)
    assert store.revoke(made.id).name == "ci"
    assert worker.user(token) is None and worker.user(other) is not None
    with pytest.raises(InputError, match="no token"):
        store.revoke(made.id)


def test_tokens_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TokenStore(tmp_path)
    _, token = store.create("ci", Role.WRITE, seconds=60)
    assert store.user(token) is not None
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert store.user(token) is None


@pytest.mark.parametrize("name", ["", "../x", "a b", "a--b", "x" * 97])
def test_names_are_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        TokenStore(tmp_path).create(name, Role.READ)
    with pytest.raises(InputError):
        TokenStore(tmp_path).create("ci", Role.READ, (name,))


@given(st.binary(max_size=80))
def test_any_file_of_tokens_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "any-tokens"
    root.mkdir(exist_ok=True)
    (root / "tokens.json").write_bytes(data)
    try:
        assert TokenStore(root).user("a-token") is None
    except InputError:
        return


@given(st.text(max_size=40))
def test_any_authorization_is_nobody_or_declined(tmp_path_factory: pytest.TempPathFactory, header: str) -> None:
    try:
        assert auth.user(TokenStore(tmp_path_factory.getbasetemp() / "none"), header) is None
    except Problem as problem:
        assert problem.status == 401


def test_git_sends_its_token_as_a_password(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    _, token = store.create("ci", Role.READ)
    header = "Basic " + base64.b64encode(f"anything:{token}".encode()).decode()
    assert auth.user(store, header) == User("ci", (), Role.READ)
    with pytest.raises(Problem):
        auth.user(store, "Basic not-base64")


def test_the_command_makes_lists_and_revokes(tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        done = subprocess.run([COMMAND, "token", *words, "--root", tmp_path, "--json"], capture_output=True, check=True)
        return json.loads(done.stdout)

    made = run("create", "ci", "--role", "read", "--namespace", "lab", "--days", "3")
    assert TokenStore(tmp_path).user(made["token"]) == User("ci", ("lab",), Role.READ)
    (row,) = run("list")
    assert (row["id"], row["sha256"], row["namespaces"]) == (made["id"], None, ["lab"])
    assert run("revoke", made["id"])["name"] == "ci"
    assert run("list") == []


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
    for change, status in ((line, 400), (put("x.bin", pointer), 200)):
        data = b"\n".join(json.dumps(row).encode() for row in ({"key": "header", "value": {}}, change))
        assert ask(hub, "POST", "/api/models/thief/mine/commit/main", data, token=thief)[0] == status
    assert ask(hub, "GET", "/thief/mine/resolve/main/x.bin", token=thief)[0] == 404
    assert "actions" not in batch(hub, private, sha256, len(secret))


def test_a_release_stays(hub: HubInstance, client: HubClient, repo: str, folder: Path) -> None:
    old = client.refs.head(repo)
    (folder / "model.sig").write_text("{}")
    released = client.trees.publish(repo, folder, "Release", old)
    client.refs.tag(repo, "v1.0.0", released, "Release")
    client.refs.tag(repo, "draft", old, "No release")
    admin = hub.user("root", Role.ADMIN)
    for token in (hub.token, admin):
        assert ask(hub, "DELETE", f"/api/models/{repo}/tag/v1.0.0", token=token)[0] == 403
        assert ask(hub, "POST", f"/api/models/{repo}/tag/main", {"tag": "v1.0.0"}, token=token)[0] == 409
    assert ask(hub, "DELETE", f"/api/models/{repo}/tag/draft")[0] == 200
    assert client.refs.tags(repo) == {"v1.0.0": released}


def test_deleting_needs_an_admin_and_leaves_a_tombstone(
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


def test_an_etag_spares_a_download(hub: HubInstance, client: HubClient, repo: str, folder: Path) -> None:
    client.trees.publish(repo, folder, "Release", client.refs.head(repo))
    for path in ("README.md", "model.safetensors"):
        _, headers, body = ask(hub, "GET", f"/{repo}/resolve/main/{path}")
        again = {"If-None-Match": f'W/"x", {headers["etag"]}'}
        assert ask(hub, "GET", f"/{repo}/resolve/main/{path}", headers=again)[::2] == (304, b"")
        other = {"If-None-Match": '"other"'}
        assert ask(hub, "GET", f"/{repo}/resolve/main/{path}", headers=other)[2] == body


def test_half_a_line_of_a_ledger_counts_for_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    one, two = (hashlib.sha256(word).hexdigest() for word in (b"1", b"2"))
    ledger.append({one: 10})
    with (tmp_path / FILE).open("ab") as stream:
        stream.write(two.encode()[:30])
    assert ledger.read() == {one: 10}
    ledger.append({two: 20, one: 10})
    assert ledger.read() == {one: 10, two: 20}


@given(st.binary(max_size=200))
def test_any_ledger_is_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    (folder / FILE).write_bytes(data)
    ledger = Ledger(folder)
    before = ledger.read()
    ledger.append({"a" * 64: 5})
    assert ledger.read() == {**before, "a" * 64: before.get("a" * 64, 5)}
