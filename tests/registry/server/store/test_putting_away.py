"""What is refused or closed leaves nothing, and what a stranger proposes is the stranger's to pay for."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.hub.client import HubClient
from registry.server.access.tokens import Role
from registry.server.names import RepoName
from registry.server.store import commits, git, history, objects, pulls, putting_away, refs, rewriting
from registry.server.store.changes import Put
from registry.server.store.quota import Quota
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload

REPO = "lab/one"
API = f"/api/models/{REPO}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    options = ("--quota", "100000")
    with HubInstance.start(tmp_path_factory.mktemp("lab"), organizations=("lab",), options=options) as hub:
        assert ask(hub, "POST", "/api/repos/create", {"name": "one", "organization": "lab"})[0] == 200
        yield hub


def folder(hub: HubInstance) -> Path:
    return hub.root / "repos" / "models" / "lab" / "one.git"


def held(hub: HubInstance, owner: str) -> int:
    return sum(Quota(hub.root, None).booked(owner).read().values())


def set_status(hub: HubInstance, number: int, status: str) -> int:
    return ask(hub, "POST", f"{API}/discussions/{number}/status", {"status": status})[0]


def test_a_commit_that_is_refused_leaves_nothing(lab: HubInstance) -> None:
    assert commit(lab, REPO, put("first.txt"))[0] == 200
    before = sorted(folder(lab).rglob("*"))
    late = {"key": "header", "value": {"summary": "late", "parentCommit": "0" * 40}}
    assert commit(lab, REPO, late, put("big.txt", "x" * 40_000))[0] == 412
    assert commit(lab, REPO, put("a/b.txt", "x" * 30_000), put("a", "x" * 30_000))[0] == 400
    assert commit(lab, REPO, put("x.txt", "y" * 30_000), branch="nowhere")[0] == 404
    assert sorted(folder(lab).rglob("*")) == before
    assert commit(lab, REPO, put("kept.txt", "x" * 1000))[0] == 200
    subprocess.run(["git", f"--git-dir={folder(lab)}", "fsck", "--strict"], check=True, capture_output=True)


def test_what_is_proposed_is_booked_to_who_proposes_it(lab: HubInstance) -> None:
    token = lab.user("stranger", Role.WRITE)
    stranger = HubClient(lab.url, token)
    own = sum(Repository.open(lab.root / "repos", _name()).contents.read().values())
    stranger.pulls.propose(REPO, "main", {"x.txt": b"x" * 60_000}, "A change")
    size = 60_000 + len("x.txt") + len("A change")
    assert held(lab, "stranger") == size
    body = b"".join(json.dumps(line).encode() + b"\n" for line in (
        {"key": "header", "value": {"summary": "More"}}, put("y.txt", "y" * 60_000),
    ))  # fmt: skip
    status, _, said = ask(lab, "POST", f"{API}/commit/main?create_pr=1", body, token=token)
    assert status == 403 and f"stranger has {size} of its 100000 bytes".encode() in said
    assert sum(Repository.open(lab.root / "repos", _name()).contents.read().values()) == own
    assert ask(lab, "POST", f"{API}/discussions/1/merge", {"comment": "Well done"})[0] == 200
    assert held(lab, "stranger") == 0
    assert sum(Repository.open(lab.root / "repos", _name()).contents.read().values()) == own + size
    assert "Well done" in history.log(folder(lab), "refs/heads/main", limit=1)[0].message


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """With two commits, of which the second has other files than the first."""
    name = RepoName("models", "lab", "two")
    assert Repository.create(tmp_path / "repos", name, "builder", {"a.txt": b"old", "d/b.txt": b"old, too"})
    made = Repository.open(tmp_path / "repos", name)
    for path, text in (("a.txt", b"new"), ("d/b.txt", b"new, too")):
        blob = git.run(made.folder, "hash-object", "-w", "--stdin", given=text).decode().strip()
        made.commit("main", None, [Put(path, blob)], "builder", "A change")
    return made


def whole(repo: Repository) -> bool:
    done = subprocess.run(["git", f"--git-dir={repo.folder}", "fsck", "--strict"], check=False, capture_output=True)
    return not done.returncode


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("squashed", [False, True])
def test_a_request_that_goes_back_takes_no_history_along_when_it_is_closed(
    repo: Repository, packed: bool, squashed: bool
) -> None:
    """Its files are those of an older commit, or the branch has been made anew since: git calls them its own then."""
    old = [Put("a.txt", objects.object_name("blob", b"old")), Put("d/b.txt", objects.object_name("blob", b"old, too"))]
    pull, _ = pulls.propose(repo, "stranger", "main", None, old, "Back", "")
    if squashed:
        rewriting.squash(repo, "main", "builder", "One")
    if packed:
        git.run(repo.folder, "repack", "-a", "-d", "--quiet")
    putting_away.close(repo, pull.number, repo.contents)
    assert whole(repo) and objects.read_file(repo.folder, "main", "a.txt") is not None
    assert refs.tip(repo.folder, pull.ref) is None
    putting_away.reopen(repo, pull.number)
    assert whole(repo) and objects.read_file(repo.folder, pull.ref, "a.txt") is not None


def test_a_commit_that_waits_keeps_what_it_shares_with_a_request_that_is_closed(
    repo: Repository, tmp_path: Path
) -> None:
    line = json.dumps(put("shared.txt", "shared")).encode()
    (tmp_path / "body").write_bytes(line)
    proposed = commits.read(tmp_path / "body", repo)
    with git.quarantined(repo.folder, proposed.apart):
        pull, _ = pulls.propose(repo, "stranger", "main", None, proposed.changes, "Shared", "")
    waits = commits.read(tmp_path / "body", repo)
    putting_away.close(repo, pull.number, repo.contents)
    with git.quarantined(repo.folder, waits.apart):
        repo.commit("main", None, waits.changes, "builder", "Shared")
    assert whole(repo) and objects.read_file(repo.folder, "main", "shared.txt") is not None


def _name() -> RepoName:
    return RepoName("models", "lab", "one")


@pytest.mark.parametrize("packed", [False, True])
def test_what_was_closed_nobody_can_read_until_it_is_opened_again(
    lab: HubInstance, packed: bool, tmp_path: Path
) -> None:
    token = lab.user(f"author-{packed}", Role.WRITE)
    url = HubClient(lab.url, token).pulls.propose(
        REPO, "main", {"secret.txt": f"a secret {packed}".encode()}, "A change"
    )
    number = int(url.rsplit("/", 1)[1])
    tip = refs.named(folder(lab), "refs/pr/")[f"refs/pr/{number}"]
    data = os.urandom(1500)
    line = {"key": "lfsFile", "value": {"path": "a.bin", "oid": upload(lab, REPO, data), "size": len(data)}}
    assert commit(lab, REPO, line, branch=f"refs/pr/{number}")[0] == 200
    if packed:
        git.run(folder(lab), "gc", "--quiet")
    before = held(lab, f"author-{packed}")
    assert before > 0 and ask(lab, "GET", f"/{REPO}/resolve/{tip}/secret.txt", token="")[0] == 200
    assert set_status(lab, number, "closed") == 200
    for revision in (tip, tip[:10], f"refs%2Fpr%2F{number}"):
        for path in (f"/{REPO}/resolve/{revision}/secret.txt", f"{API}/revision/{revision}", f"{API}/tree/{revision}"):
            assert ask(lab, "GET", path, token="")[0] == 404
    asked = {"operation": "download", "objects": [{"oid": line["value"]["oid"], "size": len(data)}]}  # type: ignore[index]
    (answer,) = json.loads(ask(lab, "POST", f"/{REPO}.git/info/lfs/objects/batch", asked, token="")[2])["objects"]
    assert answer["error"]["code"] == 404
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    fetched = ["git", "-C", str(tmp_path), "fetch", "-q", f"{lab.url}/{REPO}", tip]
    assert subprocess.run(fetched, capture_output=True, check=False).returncode != 0
    assert held(lab, f"author-{packed}") == 0
    assert json.loads(ask(lab, "GET", f"{API}/discussions/{number}?diff=1")[2])["diff"] == ""
    assert commit(lab, REPO, put("z.txt"), branch=f"refs/pr/{number}")[0] == 409
    assert set_status(lab, number, "closed") == 200 and set_status(lab, number, "open") == 200
    assert ask(lab, "GET", f"/{REPO}/resolve/{tip}/secret.txt", token="")[2] == f"a secret {packed}".encode()
    assert ask(lab, "GET", f"/{REPO}/resolve/refs%2Fpr%2F{number}/a.bin", token="")[2] == data
    assert ask(lab, "POST", f"{API}/discussions/{number}/merge", {})[0] == 200
    subprocess.run(["git", f"--git-dir={folder(lab)}", "fsck", "--strict"], check=True, capture_output=True)


def test_closing_a_draft_takes_nothing_of_its_branch(lab: HubInstance) -> None:
    body = {"title": "A draft", "pullRequest": True}
    number = json.loads(ask(lab, "POST", f"{API}/discussions", body)[2])["num"]
    assert set_status(lab, number, "closed") == 200
    assert ask(lab, "GET", f"{API}/tree/main")[0] == 200 and set_status(lab, number, "open") == 200
    subprocess.run(["git", f"--git-dir={folder(lab)}", "fsck", "--strict"], check=True, capture_output=True)
