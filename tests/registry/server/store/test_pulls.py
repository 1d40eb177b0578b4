"""Pull requests, by the real client: proposed by those who may only read, merged by those who may write."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import CredentialsError, InputError, Refused
from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.store import pulls
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put


@pytest.fixture
def auditor(hub: HubInstance) -> HubClient:
    """Somebody without any right to write here."""
    return HubClient(hub.url, hub.user("auditor", Role.WRITE))


def test_an_auditor_proposes_and_the_owner_merges(client: HubClient, auditor: HubClient, repo: str) -> None:
    client.refs.ensure_branch(repo, "audits")
    main, before = client.refs.head(repo), client.refs.head(repo, "audits")
    url = auditor.pulls.propose(
        repo, "audits", {"rebuilds/auditor.json": b'{"verdict": "BITWISE"}\n'}, "Rebuilt, bitwise"
    )

    assert url == f"{client.endpoint}/{repo}/discussions/1"
    (row,) = client.pulls.list(repo)
    assert (row.number, row.title, row.author, row.status) == (1, "Rebuilt, bitwise", "auditor", "open")
    pull = client.pulls.get(repo, 1)
    assert pull.branch == "audits" and '+{"verdict": "BITWISE"}' in pull.diff
    assert client.refs.head(repo, "audits") == before  # nothing has moved
    tip = client.refs.resolve(repo, "refs/pr/1")
    assert client.files.read(repo, tip, "rebuilds/auditor.json", max_bytes=100) == b'{"verdict": "BITWISE"}\n'

    with pytest.raises(CredentialsError, match="may not write"):
        auditor.pulls.merge(repo, 1)
    client.pulls.merge(repo, 1)
    assert client.files.read(repo, client.refs.head(repo, "audits"), "rebuilds/auditor.json", max_bytes=100)
    assert client.pulls.get(repo, 1).status == "merged" and client.refs.head(repo) == main
    assert client.refs.history(repo, "audits")[-1] == client.refs.history(repo)[-1] and before in client.refs.history(
        repo, "audits"
    )
    head = client.refs.head(repo, "audits")
    client.pulls.merge(repo, 1)  # as if the first answer had been lost
    assert client.refs.head(repo, "audits") == head


def test_two_requests_are_merged_one_after_the_other(client: HubClient, auditor: HubClient, repo: str) -> None:
    for name in ("a", "b"):
        auditor.pulls.propose(repo, "main", {f"{name}.json": b"{}"}, f"Add {name}")
    for number in (1, 2):
        client.pulls.merge(repo, number)
    assert {"a.json", "b.json"} <= {file.path for file in client.files.list(repo, client.refs.head(repo))}
    assert [pull.number for pull in client.pulls.list(repo)] == [2, 1]


def test_a_conflict_is_told_and_changes_nothing(
    hub: HubInstance, client: HubClient, auditor: HubClient, repo: str
) -> None:
    for words in (b"one\n", b"two\n"):
        auditor.pulls.propose(repo, "main", {"same.json": words}, "Add it")
    client.pulls.merge(repo, 1)
    head = client.refs.head(repo)
    with pytest.raises(Refused, match=r"conflicts with main in same\.json"):
        client.pulls.merge(repo, 2)
    assert client.refs.head(repo) == head
    answer = json.loads(ask(hub, "GET", f"/api/models/{repo}/discussions/2")[2])
    assert answer["filesWithConflicts"] == ["same.json"]


def test_a_merge_cut_off_before_its_record_is_finished_by_asking_again(
    hub: HubInstance, client: HubClient, auditor: HubClient, repo: str
) -> None:
    auditor.pulls.propose(repo, "main", {"a.json": b"{}"}, "Add it")
    client.pulls.merge(repo, 1)
    record = hub.root / "repos" / "models" / f"{repo}.git" / "pulls" / "1.json"
    told = json.loads(record.read_bytes())
    record.write_text(json.dumps(told | {"status": "open", "merged": None}))
    head = client.refs.head(repo)
    client.pulls.merge(repo, 1)
    assert client.refs.head(repo) == head and client.pulls.get(repo, 1).status == "merged"


def test_closing_and_more_commits(hub: HubInstance, client: HubClient, auditor: HubClient, repo: str) -> None:
    draft = auditor.connection.api.create_pull_request(repo, "A draft", description="Later")
    assert draft.num == 1 and draft.status == "draft"
    with pytest.raises(Refused, match="changes nothing"):
        client.pulls.merge(repo, 1)
    header, line = b'{"key":"header","value":{"summary":"More"}}\n', json.dumps(put("a.json")).encode()
    more = f"/api/models/{repo}/commit/refs%2Fpr%2F1"
    assert ask(hub, "POST", more, header + line, token=hub.user("stranger", Role.WRITE))[0] == 403
    assert ask(hub, "POST", more, header + line, token=str(auditor.connection.token))[0] == 200
    auditor.connection.api.change_discussion_status(repo, 1, "closed")
    with pytest.raises(Refused, match="closed"):
        client.pulls.merge(repo, 1)
    client.connection.api.change_discussion_status(repo, 1, "open")
    client.pulls.merge(repo, 1)
    assert "a.json" in {file.path for file in client.files.list(repo, client.refs.head(repo))}


def test_what_is_proposed_is_bounded(hub: HubInstance, auditor: HubClient, repo: str) -> None:
    with pytest.raises(InputError, match="no branch"):
        auditor.pulls.propose(repo, "nothing", {"a": b""}, "x")
    with pytest.raises(InputError, match="not allowed"):
        auditor.pulls.propose(repo, "main", {"../a": b""}, "x")
    body = b'{"key":"header","value":{"summary":"x"}}\n' + json.dumps(put("a.txt", "x" * (9 << 20))).encode() + b"\n"
    token = hub.user("writer", Role.WRITE)
    path = f"/api/models/{repo}/commit/main?create_pr=1"
    assert ask(hub, "POST", path, body + body, token=token)[0] == 413
    large = {"operation": "upload", "objects": []}
    assert ask(hub, "POST", f"/{repo}.git/info/lfs/objects/batch", large, token=token)[0] == 403
    small = b'{"key":"header","value":{"summary":"x"}}\n' + json.dumps(put("a.txt", "x")).encode()
    statuses = [ask(hub, "POST", path, small, token=token)[0] for _ in range(pulls.MAX_OPEN + 1)]
    assert statuses == [200] * pulls.MAX_OPEN + [403]


def test_a_stale_parent_is_412(hub: HubInstance, client: HubClient, repo: str) -> None:
    old = client.refs.head(repo)
    assert commit(hub, repo, put("a.txt"))[0] == 200
    lines = ({"key": "header", "value": {"summary": "x", "parentCommit": old}}, put("b.txt"))
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    assert ask(hub, "POST", f"/api/models/{repo}/commit/main?create_pr=1", body)[0] == 412
    assert client.pulls.list(repo) == ()


bodies = st.dictionaries(
    st.sampled_from(["title", "description", "pullRequest", "status", "comment"]),
    st.none() | st.booleans() | st.text(max_size=8) | st.sampled_from(["open", "closed"]),
).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies, number=st.sampled_from(["0", "1", "2", "99", "x", "-1", "9" * 20, "%00", "..", "1%2F2"]))
def test_no_discussion_makes_the_server_fail(hub: HubInstance, repo: str, body: bytes, number: str) -> None:
    api = f"/api/models/{repo}/discussions"
    assert ask(hub, "POST", api, body)[0] < 500
    assert ask(hub, "GET", f"{api}/{number}?diff=1")[0] < 500
    assert ask(hub, "GET", f"{api}?p={number}")[0] < 500
    assert ask(hub, "POST", f"/api/models/{repo}/commit/refs%2Fpr%2F{number}", body)[0] < 500
    for what in ("status", "merge"):
        assert ask(hub, "POST", f"{api}/{number}/{what}", body)[0] < 500


def test_what_is_not_taken_leaves_no_record(hub: HubInstance, repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ({"key": "header", "value": {"summary": "s", "description": "d" * 60_000}},
             {"key": "deletedFile", "value": {"path": "nothing"}})  # fmt: skip
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert ask(hub, "POST", f"/api/models/{repo}/commit/main?create_pr=1", body)[0] == 404
    found = Repository.open(hub.root / "repos", RepoName("models", *repo.split("/")))
    assert not list(pulls.folder_of(found).glob("*"))
    monkeypatch.setattr(pulls, "MAX_A_DAY", 2)
    for _ in range(2):
        number = pulls.create(found, "somebody", "title", "").number
        assert ask(hub, "POST", f"/api/models/{repo}/discussions/{number}/status", {"status": "closed"})[0] == 200
    with pytest.raises(Problem, match="since yesterday"):
        pulls.create(found, "somebody", "title", "")


def test_what_a_request_conflicts_with_is_thought_of_once(
    hub: HubInstance, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask, as often as they like."""
    found = Repository.open(hub.root / "repos", RepoName("models", *repo.split("/")))
    pull = pulls.create(found, "somebody", "title", "")
    assert pulls.conflicts(found, pull) == []
    monkeypatch.setattr("registry.server.store.attributes.merged", lambda *given: pytest.fail("it is known"))
    assert pulls.conflicts(found, pull) == []
