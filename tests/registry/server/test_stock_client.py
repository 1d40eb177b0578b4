"""What the stock client asks of a repository, one answer a test: as the public Hub gives it."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import Refused
from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload


@pytest.fixture
def filled(hub: HubInstance, repo: str) -> str:
    assert commit(hub, repo, *(put(path) for path in ("a/b/x.txt", "a/b/c/y.txt", "a/z.txt", "abc/w.txt")))[0] == 200
    return repo


def test_the_tree_of_a_folder_is_what_is_in_it(hub: HubInstance, client: HubClient, filled: str) -> None:
    from huggingface_hub import HfFileSystem
    from huggingface_hub.errors import EntryNotFoundError

    api = client.connection.api
    rows = api.list_repo_tree(filled, "a/b", recursive=True)
    assert sorted(row.path for row in rows) == ["a/b/c", "a/b/c/y.txt", "a/b/x.txt"]
    assert sorted(row.path for row in api.list_repo_tree(filled, "a")) == ["a/b", "a/z.txt"]
    found = HfFileSystem(endpoint=hub.url, token=hub.token).find(f"{filled}/a/b")
    assert found == [f"{filled}/a/b/c/y.txt", f"{filled}/a/b/x.txt"]
    for path in ("a/z.txt", "a/nothing", "ab"):
        for recursive in (True, False):
            with pytest.raises(EntryNotFoundError):
                list(api.list_repo_tree(filled, path, recursive=recursive))


def test_refs_name_pull_requests_where_they_are_asked_for(client: HubClient, repo: str) -> None:
    client.pulls.propose(repo, "main", {"x.txt": b"text"}, "A change")
    refs = client.connection.api.list_repo_refs(repo, include_pull_requests=True)
    (row,) = refs.pull_requests or []
    assert (row.ref, row.target_commit) == ("refs/pr/1", client.refs.resolve(repo, "refs/pr/1"))
    assert client.connection.api.list_repo_refs(repo).pull_requests is None


def test_commits_may_be_abbreviated_and_head_is_main(hub: HubInstance, client: HubClient, filled: str) -> None:
    api, head = client.connection.api, client.refs.head(filled)
    assert api.repo_info(filled, revision=head[:7]).sha == head == api.repo_info(filled, revision="HEAD").sha
    api.create_tag(filled, tag="v1", revision=head[:12])
    assert client.refs.resolve(filled, "v1") == head
    for unknown in ("0123456", head[:6], "g" * 8):
        status, headers, _ = ask(hub, "GET", f"/api/models/{filled}/revision/{unknown}")
        assert (status, headers["x-error-code"]) == (404, "RevisionNotFound")
    assert ask(hub, "POST", f"/api/models/{filled}/branch/{head[:8]}", {})[0] == 200  # a name goes before a beginning
    assert commit(hub, filled, put("more.txt"), branch=head[:8])[0] == 200
    assert api.repo_info(filled, revision=head[:8]).sha != head


def test_a_folder_is_deleted_by_its_bare_path(client: HubClient, filled: str) -> None:
    client.connection.api.delete_file("a", filled)
    assert {row.path for row in client.files.list(filled, client.refs.head(filled))} == {".gitattributes", "abc/w.txt"}


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_name_without_an_owner_is_no_repository(client: HubClient, kind: str) -> None:
    from huggingface_hub.errors import RepositoryNotFoundError

    api = client.connection.api
    calls: tuple[Any, ...] = (
        lambda: api.repo_info("gpt2", repo_type=kind),
        lambda: api.repo_info("gpt2", repo_type=kind, revision="main"),
        lambda: list(api.list_repo_tree("gpt2", repo_type=kind)),
        lambda: api.list_repo_commits("gpt2", repo_type=kind),
        lambda: api.get_paths_info("gpt2", ["x"], repo_type=kind),
        lambda: api.hf_hub_download("gpt2", "config.json", repo_type=kind),
    )
    for call in calls:
        with pytest.raises(RepositoryNotFoundError):
            call()
    assert not api.file_exists("gpt2", "config.json", repo_type=kind)


def test_names_in_another_case_are_the_same(hub: HubInstance, client: HubClient, filled: str) -> None:
    api, other = client.connection.api, filled.upper()
    assert api.repo_info(other).id == filled
    assert ask(hub, "GET", f"/{other}/resolve/main/a/z.txt")[2] == b"text"
    assert api.create_repo(other.replace("GLASSHOUSE", "glasshouse"), exist_ok=True)
    with pytest.raises(Refused, match="is given"):
        hub.user("GlassHouse", Role.WRITE)


def test_raw_is_what_stands_in_git(hub: HubInstance, repo: str) -> None:
    data = b"\0large" * 99
    sha256 = upload(hub, repo, data)
    line = {"key": "lfsFile", "value": {"path": "w.bin", "oid": sha256, "algo": "sha256"}}
    assert commit(hub, repo, line, put("a.txt", "text"))[0] == 200
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n"
    assert ask(hub, "GET", f"/{repo}/raw/main/w.bin")[2].decode() == pointer
    assert ask(hub, "GET", f"/{repo}/resolve/main/w.bin")[2] == data
    assert ask(hub, "GET", f"/{repo}/raw/main/a.txt")[2] == b"text"


def test_titles_come_as_html_where_they_are_asked_for(hub: HubInstance, client: HubClient, repo: str) -> None:
    assert commit(hub, repo, {"key": "header", "value": {"summary": "<b> & c"}}, put("x"))[0] == 200
    api = client.connection.api
    assert api.list_repo_commits(repo, formatted=True)[0].formatted_title == "&lt;b&gt; &amp; c"
    assert api.list_repo_commits(repo)[0].formatted_title is None


def test_without_xet_nothing_is_named_in_it(hub: HubInstance, client: HubClient, repo: str) -> None:
    from huggingface_hub import RepoFile

    large = {"key": "lfsFile", "value": {"path": "x.bin", "oid": upload(hub, repo, b"text"), "algo": "sha256"}}
    assert commit(hub, repo, large)[0] == 200
    (row,) = client.connection.api.get_paths_info(repo, ["x.bin"])
    assert isinstance(row, RepoFile) and row.lfs is not None and row.xet_hash is None
    assert ask(hub, "GET", f"/api/models/{repo}/xet-read-token/main")[0] == 404
