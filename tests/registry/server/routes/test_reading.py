"""What there is: trees, rows and lists, in pages."""

from __future__ import annotations

import json

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put


def test_a_tree_comes_in_pages_of_one_commit(hub: HubInstance, client: HubClient, repo: str) -> None:
    assert commit(hub, repo, *(put(f"data/{n:03}.txt") for n in range(25)))[0] == 200
    path, found, pages = f"/api/models/{repo}/tree/main/data?limit=10", [], 0
    while path:
        status, headers, body = ask(hub, "GET", path)
        assert status == 200
        found += [row["path"] for row in json.loads(body)]
        pages += 1
        if pages == 1:
            assert commit(hub, repo, put("data/000-late.txt"))[0] == 200
        path = headers["link"].split(">")[0].removeprefix("<") if "link" in headers else ""
    assert (pages, found) == (3, [f"data/{n:03}.txt" for n in range(25)])


def test_rows_tell_which_commit_changed_them_last(hub: HubInstance, client: HubClient, repo: str) -> None:
    for path in ("a/x.txt", "a/y.txt", "b.txt"):
        header = {"key": "header", "value": {"summary": f"Add {path}", "description": "\x1e\x1e\n\x1e"}}
        assert commit(hub, repo, put(path), header)[0] == 200
    rows = client.connection.api.list_repo_tree(repo, recursive=True, expand=True)
    titles = {row.path: row.last_commit.title for row in rows if row.last_commit is not None}
    told = {"a": "Add a/y.txt", "a/x.txt": "Add a/x.txt", "a/y.txt": "Add a/y.txt", "b.txt": "Add b.txt"}
    assert titles == {".gitattributes": "initial commit", **told}
    (row,) = client.connection.api.get_paths_info(repo, ["a/x.txt"], expand=True)
    assert row.last_commit is not None and row.last_commit.title == "Add a/x.txt"
    assert client.connection.api.get_paths_info(repo, ["a/x.txt"])[0].last_commit is None


def test_repositories_are_listed_to_those_who_may_read_them(hub: HubInstance, client: HubClient, repo: str) -> None:
    stem = f"{repo.split('/')[1]}-listed"
    names = [f"glasshouse/{stem}-{number}" for number in range(3)]
    for number, name in enumerate(names):
        client.repos.ensure(name, private=number == 1)
    client.repos.ensure(f"datasets/glasshouse/{stem}")

    def listed(query: str, token: str | None = None, kind: str = "models") -> list[str]:
        path, found = f"/api/{kind}?{query}", []
        while path:
            status, headers, body = ask(hub, "GET", path, token=token)
            assert status == 200
            found += [row["id"] for row in json.loads(body)]
            path = headers["link"].split(">")[0].removeprefix("<") if "link" in headers else ""
        return found

    assert listed(f"search={stem}&limit=2") == names
    assert listed(f"search={stem}", token="") == [names[0], names[2]]
    assert listed(f"search={stem}", token=hub.user("stranger", Role.WRITE)) == [names[0], names[2]]
    assert listed(f"author=glasshouse&search={stem.upper()}") == names and listed("author=nobody") == []
    assert listed(f"search={stem}", kind="datasets") == [f"glasshouse/{stem}"]
