"""Room comes back: what no ref leads to goes after a grace, from the ledger, too; what is younger, or led to, stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.hub.client import HubClient
from registry.server import check, collecting
from registry.server.access.accounts import Accounts
from registry.server.access.people import NamespaceRole
from registry.server.access.rights import User
from registry.server.access.tokens import Role
from registry.server.backup import back_up
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.state import Hub
from registry.server.store import commits, holdings
from registry.server.store.ledger import Ledger
from registry.server.store.pointers import pointer
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import Answer, ask, commit, put, upload

COMMAND = Path(sys.executable).parent / "glasshouse"
NOW = -60.0
"""A grace that is over for everything."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HubInstance]:
    with HubInstance.start(tmp_path / "hub", organizations=("lab",)) as hub:
        assert ask(hub, "POST", "/api/repos/create", {"name": "one", "organization": "lab"})[0] == 200
        yield hub


def large(hub: HubInstance, path: str, size: int, branch: str = "main", repo: str = "lab/one") -> str:
    data = os.urandom(size)
    line = {"key": "lfsFile", "value": {"path": path, "oid": upload(hub, repo, data), "size": size}}
    assert commit(hub, repo, line, branch=branch)[0] == 200
    return str(line["value"]["oid"])  # type: ignore[index]


def ledger(hub: HubInstance) -> Ledger:
    return Ledger(hub.root / "repos" / "models" / "lab" / "one.git")


def test_what_no_ref_leads_to_goes_and_the_ledger_follows(lab: HubInstance) -> None:
    kept = large(lab, "kept.bin", 1000)
    assert commit(lab, "lab/one", {"key": "deletedFile", "value": {"path": "kept.bin"}})[0] == 200  # history has it
    assert ask(lab, "POST", "/api/models/lab/one/branch/side", {})[0] == 200
    side, never = large(lab, "side.bin", 2000, "side"), upload(lab, "lab/one", os.urandom(3000))
    assert ask(lab, "DELETE", "/api/models/lab/one/branch/side")[0] == 200
    before = sum(ledger(lab).read().values())
    assert collecting.collect(lab.root).freed == 0 and set(ledger(lab).blobs()) == {kept, side, never}  # all are young
    assert collecting.collect(lab.root, NOW).freed >= 5000
    assert set(ledger(lab).blobs()) == {kept} and not lab.blob(side).exists() and lab.blob(kept).exists()
    said = len("side.bin") + len("A commit")
    assert sum(ledger(lab).read().values()) == before - 5000 - len(pointer("0" * 64, 2000)) - said
    assert check.examine(lab.root).faults == () and commit(lab, "lab/one", put("later.txt"))[0] == 200


def test_a_closed_pull_request_is_let_go(lab: HubInstance) -> None:
    author = HubClient(lab.url, lab.user("author", Role.WRITE))
    for _ in range(2):
        author.pulls.propose("lab/one", "main", {"x.txt": b"a proposal"}, "A change")
    assert ask(lab, "POST", "/api/models/lab/one/discussions/1/status", {"status": "closed"})[0] == 200
    path = "/api/models/lab/one/discussions/1"
    collecting.collect(lab.root)
    for status in ("open", "closed"):  # for a day
        assert ask(lab, "POST", f"{path}/status", {"status": status})[0] == 200
    collecting.collect(lab.root, NOW)
    assert json.loads(ask(lab, "GET", path)[2])["status"] == "closed"
    assert ask(lab, "POST", f"{path}/status", {"status": "open"})[0] == 409
    assert ask(lab, "GET", "/api/models/lab/one/discussions/2")[0] == 200
    assert author.pulls.propose("lab/one", "main", {"y.txt": b"another"}, "A change").endswith("/3")


def test_a_commit_does_not_name_what_was_just_taken_away(tmp_path: Path) -> None:
    hub = Hub.open(tmp_path / "hub")
    name = RepoName("models", "lab", "one")
    Repository.create(hub.repositories, name, "alice", {})
    repo = Repository.open(hub.repositories, name)
    asked = commits.Asked("A commit", "", None, (), 0, {"a" * 64: 5}, tmp_path / "apart")
    with pytest.raises(Problem, match="does not exist"):
        hub.commit(repo, User("alice", {"lab": NamespaceRole.WRITE}), "main", asked, proposed=False)


def test_after_half_is_deleted_the_disk_holds_the_other_half(lab: HubInstance) -> None:
    root, shared = lab.user("root", Role.ADMIN), os.urandom(4000)
    for number in range(6):
        assert ask(lab, "POST", "/api/repos/create", {"name": f"r{number}", "organization": "lab"})[0] == 200
        large(lab, "own.bin", 5000, repo=f"lab/r{number}")
        upload(lab, f"lab/r{number}", shared)
    for number in range(3):
        body = {"name": f"r{number}", "organization": "lab"}
        assert ask(lab, "DELETE", "/api/repos/delete", body, token=root)[0] == 200
    collecting.collect(lab.root, 3600)
    assert check.examine(lab.root).size == 6 * 5000 + 4000  # blobs are young
    for path in (lab.root / "blobs" / "sha256").rglob("?" * 64):
        os.utime(path, (0, 0))
    assert collecting.collect(lab.root, 3600).freed == 3 * 5000
    found = check.examine(lab.root)
    assert (found.size, found.faults) == (3 * 5000 + 4000, ())


def test_a_repository_that_cannot_be_read_is_left_as_it_is(lab: HubInstance) -> None:
    kept = large(lab, "kept.bin", 1000)
    head = ledger(lab).folder / "refs" / "heads" / "main"
    objects = ledger(lab).folder / "objects"
    tree = objects / head.read_text()[:2] / head.read_text().strip()[2:]
    tree.unlink()
    found = collecting.collect(lab.root, NOW)
    assert len(found.faults) == 1 and lab.blob(kept).exists() and kept in ledger(lab).blobs()


def test_usage_is_told_by_namespace_and_repository(lab: HubInstance) -> None:
    large(lab, "a.bin", 1234)
    (one,) = holdings.each(lab.root / "repos")
    assert one.large == 1234 and 120 < one.regular < 400
    command = [str(COMMAND), "hub", "usage", "--root", str(lab.root)]
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)
    assert told["namespaces"] == {"lab": one.size} and told["repositories"][0]["large"] == 1234
    words = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "lab/one  (1,234 in large files)" in words


def test_a_closed_pull_request_keeps_its_large_files_as_long_as_it_can_be_opened(
    lab: HubInstance, tmp_path: Path
) -> None:
    sha256 = upload(lab, "lab/one", os.urandom(2000))
    lines = ({"key": "header", "value": {"summary": "A change"}},
             {"key": "lfsFile", "value": {"path": "w.bin", "oid": sha256, "size": 2000}})  # fmt: skip
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert ask(lab, "POST", "/api/models/lab/one/commit/main?create_pr=1", body)[0] == 200
    os.utime(lab.blob(sha256), (0, 0))  # it came long ago
    path = "/api/models/lab/one/discussions/1/status"
    assert ask(lab, "POST", path, {"status": "closed"})[0] == 200
    collecting.collect(lab.root)
    assert lab.blob(sha256).exists() and check.examine(lab.root).unused == ()
    back_up(lab.root, tmp_path / "copy")
    assert (tmp_path / "copy" / lab.blob(sha256).relative_to(lab.root)).exists()
    assert ask(lab, "POST", path, {"status": "open"})[0] == 200
    assert len(ask(lab, "GET", "/lab/one/resolve/refs%2Fpr%2F1/w.bin")[2]) == 2000
    assert ask(lab, "POST", path, {"status": "closed"})[0] == 200
    collecting.collect(lab.root, NOW)
    assert not lab.blob(sha256).exists()


def test_what_gets_another_name_meanwhile_loses_nothing(
    lab: HubInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository that is moved while others are looked at is in none of the places that were listed."""
    assert ask(lab, "POST", "/api/repos/create", {"name": "two", "organization": "lab"})[0] == 200
    kept = [large(lab, "w.bin", 3000, repo=f"lab/{name}") for name in ("one", "two")]
    for sha256 in kept:
        os.utime(lab.blob(sha256), (0, 0))
    moved = list[Future[Answer]]()
    with ThreadPoolExecutor() as pool:

        def move() -> bool:
            if not moved:
                body = {"fromRepo": "lab/two", "toRepo": "lab/moved"}
                moved.append(pool.submit(ask, lab, "POST", "/api/repos/move", body))
                time.sleep(0.3)
            return True

        read = Ledger.blobs
        monkeypatch.setattr(Ledger, "blobs", lambda ledger: move() and read(ledger))
        collecting.collect(lab.root, 3600)
        monkeypatch.undo()
        assert all(lab.blob(sha256).exists() for sha256 in kept) and moved.pop().result()[0] == 200

        body = {"fromRepo": "lab/moved", "toRepo": "lab/two"}
        assert ask(lab, "POST", "/api/repos/move", body)[0] == 200
        copy = shutil.copytree
        monkeypatch.setattr("shutil.copytree", lambda *given, **named: move() and copy(*given, **named))
        back_up(lab.root, tmp_path / "copy")
        assert moved.pop().result()[0] == 200
    names = sorted(path.name for path in (tmp_path / "copy" / "repos" / "models" / "lab").glob("*.git"))
    assert names == ["moved.git", "one.git"] and check.examine(tmp_path / "copy").faults == ()


def test_what_is_deleted_meanwhile_is_not_a_fault(lab: HubInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = lab.root / "repos" / "models" / "lab" / "gone.git"
    there = holdings.folders
    monkeypatch.setattr(holdings, "folders", lambda root: [*there(root), gone])
    assert collecting.collect(lab.root).faults == () and check.examine(lab.root).faults == ()
    assert check.examine(lab.root).repositories == 1


def test_maps_of_uploads_go_with_their_token_and_with_their_files(lab: HubInstance) -> None:
    tokens = Accounts.of(lab.root).tokens
    (token,) = tokens.list()
    here = upload(lab, "lab/one", os.urandom(100))
    for folder, name, sha256 in ((token.id, "a", here), (token.id, "b", "0" * 64), ("0" * 12, "c", here)):
        (lab.root / "xet" / folder).mkdir(parents=True, exist_ok=True)
        (lab.root / "xet" / folder / name).write_text(json.dumps({"sizes": [100], "runs": [[0, 1, sha256, 0]]}))
    collecting.collect(lab.root)
    assert sorted(path.name for path in (lab.root / "xet").rglob("?")) == ["a", "b"]  # what is young stays
    for name in "ab":
        os.utime(lab.root / "xet" / token.id / name, (0, 0))
    collecting.collect(lab.root)
    assert [path.name for path in (lab.root / "xet").rglob("?")] == ["a"]
