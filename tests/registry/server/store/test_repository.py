"""A repository: commits that are whole or not there, branches that move forward, tags that do not move."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put


def test_a_commit_upon_another_parent_is_412_and_changes_nothing(
    hub: HubInstance, client: HubClient, repo: str
) -> None:
    old = client.refs.head(repo)
    assert commit(hub, repo, put("a.txt"))[0] == 200
    new = client.refs.head(repo)
    stale = {"key": "header", "value": {"summary": "Late", "parentCommit": old}}
    assert commit(hub, repo, stale, put("b.txt"))[0] == 412
    assert client.refs.head(repo) == new


def test_of_many_commits_upon_one_parent_one_is_made(hub: HubInstance, client: HubClient, repo: str) -> None:
    header = {"key": "header", "value": {"summary": "A race", "parentCommit": client.refs.head(repo)}}
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: commit(hub, repo, header, put(f"{n}.txt"))[0], range(8)))
    assert sorted(statuses) == [200] + [412] * 7
    assert len(client.files.list(repo, client.refs.head(repo))) == 2


def test_commits_without_a_parent_queue_up(hub: HubInstance, client: HubClient, repo: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: commit(hub, repo, put(f"{n}.txt"))[0], range(8)))
    assert statuses == [200] * 8
    assert len(client.files.list(repo, client.refs.head(repo))) == 9


def test_a_file_cannot_be_a_folder_too(hub: HubInstance, repo: str) -> None:
    assert commit(hub, repo, put("a/b.txt"))[0] == 200
    assert commit(hub, repo, put("a"))[0] == 400
    assert commit(hub, repo, put("a/b.txt/c"))[0] == 400
    folder = {"key": "deletedFolder", "value": {"path": "a/"}}
    assert commit(hub, repo, folder, put("a"))[0] == 200
    assert commit(hub, repo, folder)[0] == 404


def test_refs_do_not_move_and_do_not_hide_one_another(hub: HubInstance, client: HubClient, repo: str) -> None:
    api = f"/api/models/{repo}"
    assert ask(hub, "POST", f"{api}/tag/main", {"tag": "v1", "message": "# One"})[0] == 200
    assert ask(hub, "POST", f"{api}/branch/steps%2F000100", {"startingPoint": "v1"})[0] == 200
    assert client.refs.head(repo, "steps/000100") == client.refs.resolve(repo, "v1")
    for method, path, body, status in (
        ("POST", f"{api}/tag/main", {"tag": "v1"}, 409),
        ("POST", f"{api}/branch/v1", {}, 409),
        ("POST", f"{api}/tag/main", {"tag": "main"}, 409),
        ("POST", f"{api}/branch/steps", {}, 409),
        ("POST", f"{api}/branch/steps%2F000100%2Fx", {}, 409),
        ("POST", f"{api}/branch/more", {"startingPoint": "nothing"}, 404),
        ("DELETE", f"{api}/tag/v2", None, 404),
        ("DELETE", f"{api}/branch/main", None, 403),
        ("DELETE", f"{api}/branch/nothing", None, 404),
        ("POST", f"{api}/commit/v1", b'{"key":"header","value":{}}\n', 404),
        ("DELETE", f"{api}/branch/steps%2F000100", None, 200),
    ):
        assert ask(hub, method, path, body)[0] == status, (method, path)
    assert client.refs.tags(repo).keys() == {"v1"}


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


def test_what_a_power_cut_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    with HubInstance.start(root) as hub:
        HubClient(hub.url, hub.token).repos.ensure("glasshouse/model")
    repository = root / "repos" / "models" / "glasshouse" / "model.git"
    lock = repository / "refs" / "heads" / "main.lock"
    remains = [lock, repository / "index-cut" / "index", repository.parent / ".new-cut" / "HEAD"]
    for path in remains:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (0, 0))
        os.utime(path.parent, (0, 0))
    with HubInstance.start(root) as hub:
        assert commit(hub, "glasshouse/model", put("a.txt"))[0] == 200
    assert not any(path.exists() for path in remains)
