"""A repository: commits that are whole or not there, branches that move forward, tags that do not move."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.store import branching, git, objects, pointers, refs, repository
from registry.server.store.changes import Put
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put


def test_a_branch_is_found_packed_or_not(tmp_path: Path) -> None:
    name = RepoName("models", "a", "b")
    assert Repository.create(tmp_path, name, "builder", {"a.txt": b"1"})
    repo = Repository.open(tmp_path, name)
    first = repo.resolve("main")
    branching.branch(repo, "steps/1", first)
    git.run(repo.folder, "pack-refs", "--all")
    assert refs.loose(repo.folder, "refs/heads/main") is None
    assert repo.resolve("main") == refs.tip(repo.folder, "refs/heads/steps/1") == first
    blob = objects.object_name("blob", b"1")
    second = repo.commit("main", first, [Put("b.txt", blob)], "builder", "Two")  # its file counts before what is packed
    assert refs.loose(repo.folder, "refs/heads/main") == repo.resolve("main") == second
    branching.delete_branch(repo, "steps/1")
    assert refs.tip(repo.folder, "refs/heads/steps/1") is refs.tip(repo.folder, "refs/heads/steps") is None
    with pytest.raises(Problem):
        repo.resolve("steps/1")


def test_all_of_a_commit_is_flushed_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, trace = RepoName("models", "a", "b"), tmp_path / "trace"
    assert Repository.create(tmp_path, name, "builder", {"a.txt": b"1"})
    repo, before = Repository.open(tmp_path, name), git.environment
    monkeypatch.setattr(git, "environment", lambda extra: {**before(extra), "GIT_TRACE2_EVENT": str(trace)})
    repo.commit("main", None, [Put("d/e/b.txt", objects.object_name("blob", b"1"))], "builder", "Two")
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    flushed = [event["value"] for event in events if event.get("category") == "fsync" and "flush" in event["key"]]
    assert sum(map(int, flushed)) == 3 + 1 + 1  # the trees of d/e, of d, of all; the commit; the branch


def test_attributes_of_a_folder_are_heeded_for_a_large_file_below_it(tmp_path: Path) -> None:
    name, line = RepoName("models", "a", "b"), b"*.bin filter=lfs diff=lfs merge=lfs -text\n"
    files = {".gitattributes": line, "sub/.gitattributes": b"*.bin -filter\n", "other/a.txt": b"1"}
    assert Repository.create(tmp_path, name, "builder", files)
    repo = Repository.open(tmp_path, name)
    (tmp_path / "pointer").write_bytes(pointers.pointer("1" * 64, 5))
    (pointer,) = objects.hash_objects(repo.folder, [tmp_path / "pointer"])

    def told(*paths: str) -> list[bytes | None]:
        commit = repo.commit("main", None, [Put(path, pointer, large=True) for path in paths], "builder", "Large")
        return objects.contents(repo.folder, [f"{commit}:.gitattributes", f"{commit}:sub/.gitattributes"])

    assert told("x.bin", "other/y.bin") == [line, b"*.bin -filter\n"]
    root, sub = told("sub/deep/z.bin")
    assert root == line and sub is not None and b"deep/z.bin filter=lfs" in sub
    assert told("sub/deep/z.bin") == [line, sub]


def test_a_commit_upon_another_parent_is_412_and_changes_nothing(
    hub: HubInstance, client: HubClient, repo: str
) -> None:
    old = client.refs.head(repo)
    assert commit(hub, repo, put("a.txt"))[0] == 200
    new = client.refs.head(repo)
    stale = {"key": "header", "value": {"summary": "Late", "parentCommit": old}}
    status, _, said = commit(hub, repo, stale, put("b.txt"))
    assert status == 412 and b"The branch was updated" in said
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
        (
            "POST",
            f"{api}/commit/v1",
            b'{"key":"header","value":{}}\n{"key":"file","value":{"path":"a","content":""}}\n',
            404,
        ),
        ("DELETE", f"{api}/branch/steps%2F000100", None, 200),
    ):
        assert ask(hub, method, path, body)[0] == status, (method, path)
    assert client.refs.tags(repo).keys() == {"v1"}


def test_a_commit_that_names_no_file_is_refused(hub: HubInstance, client: HubClient, repo: str) -> None:
    """Neither an empty body, nor a header alone. What changes nothing is one, as on the Hub."""
    head = client.refs.head(repo)
    for body in (b"", b"\n\n", b'{"key":"header","value":{"summary":"Nothing"}}\n'):
        for more in ("", "?create_pr=1"):
            status, _, answer = ask(hub, "POST", f"/api/models/{repo}/commit/main{more}", body)
            assert status == 400 and b"nothing to change" in answer
    assert client.refs.head(repo) == head
    assert [commit(hub, repo, put("a.txt"))[0] for _ in range(2)] == [200, 200]


def test_refs_of_a_repository_and_names_of_a_namespace_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branching, "MAX_REFS", 3)
    monkeypatch.setattr(repository, "MAX_NAMES", 2)
    names = [RepoName("models", "lab", name) for name in ("one", "two", "three")]
    assert [Repository.create(tmp_path, name, "builder", {"a.txt": b"1"}) for name in names[:2]] == [True, True]
    repo = Repository.open(tmp_path, names[0])
    head = repo.resolve("main")
    branching.branch(repo, "step-1", head)
    git.run(repo.folder, "pack-refs", "--all")
    branching.tag(repo, "v1", head, "", "builder")
    with pytest.raises(Problem, match="3 branches and tags") as declined:
        branching.branch(repo, "step-2", head)
    assert declined.value.status == 403
    with pytest.raises(Problem, match="3 branches and tags"):
        branching.tag(repo, "v2", head, "", "builder")
    branching.delete_branch(repo, "step-1")
    branching.tag(repo, "v2", head, "", "builder")
    repo.delete(tmp_path, "builder", released=False)
    with pytest.raises(Problem, match="no more fit"):  # the name of what was deleted stays
        Repository.create(tmp_path, names[2], "builder", {})
    assert not Repository.create(tmp_path, names[1], "builder", {})  # it is there


def test_what_is_taken_or_missing_is_told_in_the_hubs_words(hub: HubInstance, repo: str) -> None:
    """Its clients look for them."""
    api = f"/api/models/{repo}"
    assert ask(hub, "POST", f"{api}/tag/main", {"tag": "v1"})[0] == 200
    for method, path, body, status, words in (
        ("POST", f"{api}/branch/main", {}, 409, b"Reference refs/heads/main already exists"),
        ("POST", f"{api}/branch/v1", {}, 409, b"Reference refs/tags/v1 already exists"),
        ("DELETE", f"{api}/branch/main", None, 403, b"Cannot delete refs/heads/main"),
        ("POST", f"{api}/tag/nothing", {"tag": "not a tag"}, 404, b"Invalid rev id: nothing"),
        ("POST", f"{api}/tag/main", {"tag": "not a tag"}, 400, b"Invalid reference name: not a tag"),
    ):
        answer = ask(hub, method, path, body)
        assert (answer[0], words in answer[2]) == (status, True), answer


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


def test_of_names_that_differ_by_case_one_is_given(tmp_path: Path) -> None:
    names = [RepoName("models", "lab", name) for name in ("one", "ONE", "One", "oNE")]

    def made(name: RepoName) -> bool:
        try:
            return Repository.create(tmp_path, name, "alice", {})
        except Problem:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(made, names)).count(True) == 1
    assert len(list((tmp_path / "models" / "lab").glob("*.git"))) == 1
