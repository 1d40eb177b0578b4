"""What anybody can try to take everything: connections, memory, git, the wait for a parent that has died."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event

import pytest
from starlette.requests import Request
from starlette.responses import Response

from registry.server.access.limits import Shares
from registry.server.access.tokens import Role
from registry.server.locks import locked
from registry.server.names import RepoName
from registry.server.routes import app as application
from registry.server.routes.app import create_app
from registry.server.state import Hub
from registry.server.store import git, history
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, raw, until, upload

NEW = {"name": "one", "organization": "glasshouse"}
REPO = "glasshouse/one"
IMPATIENT = """
import registry.server.store.git as git
import registry.server.store.repository as repository
git.SECONDS, repository.LOCK_SECONDS = 0.5, 0.3
"""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A server of narrow limits."""
    options = ("--address-connections", "20", "--address-memory", "3000000", "--address-clones", "2")
    with HubInstance.start(tmp_path_factory.mktemp("narrow"), options=options) as hub:
        assert ask(hub, "POST", "/api/repos/create", NEW)[0] == 200
        yield hub


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A server that waits for nothing."""
    with HubInstance.start(tmp_path_factory.mktemp("impatient"), before=IMPATIENT) as hub:
        assert ask(hub, "POST", "/api/repos/create", NEW)[0] == 200
        yield hub


def connected(hub: HubInstance, data: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", int(hub.url.rsplit(":", 1)[1])), timeout=30)
    with suppress(ConnectionError):
        made.sendall(data)
    return made


def test_one_address_does_not_take_all_connections(narrow: HubInstance) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(connected(narrow, b"GET /he")) for _ in range(30)]
        until(lambda: sum(map(is_lost, opened)) >= 10)
        time.sleep(0.3)
        assert sum(map(is_lost, opened)) == 10
    until(lambda: is_served(narrow))  # given back


def is_lost(opened: socket.socket) -> bool:
    """Whether the server has hung up."""
    opened.setblocking(False)
    try:
        return opened.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def is_served(hub: HubInstance) -> bool:
    with suppress(ConnectionError, http.client.HTTPException):
        return ask(hub, "GET", "/healthz")[0] == 200
    return False


def test_bodies_that_do_not_end_take_bounded_memory(narrow: HubInstance) -> None:
    head = b"POST /api/validate-yaml HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n"
    with connected(narrow, head + b"x" * 1_900_000) as first, connected(narrow, head + b"x" * 1_900_000) as second:
        refused, _, _ = select.select([first, second], [], [], 60)  # whichever the server reads last
        assert refused and all(b"503" in one.recv(200).split(b"\r\n")[0] for one in refused)
        assert ask(narrow, "GET", "/healthz")[0] == 200
        for one in {first, second} - set(refused):
            one.sendall(b"x" * 100_000)
            assert b"400" in one.recv(200).split(b"\r\n")[0]
    assert ask(narrow, "POST", "/api/validate-yaml", {"content": "x" * 2_000_000})[0] == 200


def test_what_a_clone_asks_for_goes_to_the_disk(narrow: HubInstance) -> None:
    """Forty such bodies took 600 MiB."""
    status = Path(f"/proc/{narrow.process.pid}/status")

    def resident() -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) << 10

    before = resident()
    head = f"POST /{REPO}/git-upload-pack HTTP/1.1\r\nHost: a\r\nContent-Length: 15000000\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(connected(narrow, head + bytes(14_000_000)))
        time.sleep(0.5)
        assert resident() - before < 60 << 20
    assert ask(narrow, "POST", f"/{REPO}/git-upload-pack", b"0000")[0] in (200, 400)


def test_clones_wait_for_each_other_and_are_all_served(narrow: HubInstance, tmp_path: Path) -> None:
    assert commit(narrow, REPO, *(put(f"{n}.txt", str(n) * 1000) for n in range(50)))[0] == 200
    running = [
        subprocess.Popen(["git", "clone", "-q", f"{narrow.url}/{REPO}", str(tmp_path / str(number))])
        for number in range(8)
    ]
    assert [one.wait(timeout=60) for one in running] == [0] * 8


def test_nobody_has_more_than_their_share() -> None:
    shares = Shares(5, 3)
    assert shares.take("a", 3) and not shares.take("a") and shares.take("b", 2) and not shares.take("b")
    shares.give_back("a", 2)
    assert shares.take("c", 2) and not shares.take("c")
    shares.give_back("b", 2)
    shares.give_back("c", 2)
    assert shares.take("a", 2)


def test_a_health_check_of_http_1_0_names_no_host(narrow: HubInstance) -> None:
    assert raw(narrow, b"GET /healthz HTTP/1.0\r\n\r\n") == b"HTTP/1.1 200 OK"
    assert b"400" in raw(narrow, b"GET /healthz HTTP/1.1\r\n\r\n")
    assert b"400" in raw(narrow, b"GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")


def test_what_is_too_long_or_too_many_is_4xx(narrow: HubInstance) -> None:
    form, head = b"&".join(b"paths=x" for _ in range(3000)), {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(narrow, "POST", f"/api/models/{REPO}/paths-info/main", form, head)[0] == 400
    for name in ("b" * 255, "a/" + "b" * 251, "/".join(["c" * 150] * 10)):
        assert 400 <= ask(narrow, "POST", f"/api/models/{REPO}/branch/{name.replace('/', '%2F')}", {})[0] < 500
    assert ask(narrow, "POST", f"/api/models/{REPO}/branch/{'b' * 200}", {})[0] == 200
    assert 400 <= ask(narrow, "GET", f"/api/models/{REPO}/revision/{'b' * 256}")[0] < 500
    assert ask(narrow, "GET", f"/api/models/{REPO}/commits/main?p=999999999")[0] == 400


def test_a_wait_for_a_busy_repository_ends_in_503_and_says_when_to_ask_again(impatient: HubInstance) -> None:
    with locked(impatient.root / "repos" / "models" / f"{REPO}.git" / "glasshouse.lock"):
        status, headers, body = ask(impatient, "POST", f"/api/models/{REPO}/tag/main", {"tag": "v1"})
    assert (status, headers["retry-after"]) == (503, "5") and b"is busy" in body
    assert ask(impatient, "POST", f"/api/models/{REPO}/tag/main", {"tag": "v1"})[0] == 200


def children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_running(process: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_parent_that_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--workers", "2")) as hub:
        assert ask(hub, "GET", "/healthz")[0] == 200
        workers = children(hub.process.pid)
        assert len(workers) == 2
        hub.process.send_signal(signal.SIGKILL)
        until(lambda: not any(map(is_running, workers)))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_goes_on_in_a_new_access_log(tmp_path: Path, workers: str) -> None:
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    with HubInstance.start(tmp_path / "hub", options=("--workers", workers, "--access-log", str(log))) as hub:
        assert ask(hub, "GET", "/healthz")[0] == 200
        until(lambda: "/healthz" in log.read_text())  # the line is written after the answer
        log.rename(moved)
        os.kill(hub.process.pid, signal.SIGHUP)
        until(lambda: ask(hub, "GET", "/metrics")[0] == 200 and log.exists() and log.read_text() != "")
        assert json.loads(log.read_text().splitlines()[0])["path"] == "/metrics"
        assert "/healthz" in moved.read_text() and is_running(hub.process.pid)


FOR_EVER = "/".join(["**", "*"] * 10) + "/b"
"""A pattern that git compares with DEEP for longer than anybody waits."""
DEEP = "a/" * 80 + "a"


def test_patterns_that_git_compares_for_ever_are_declined(impatient: HubInstance) -> None:
    """A stranger may send them, with what they propose."""
    hub = impatient
    stranger = hub.user("stranger", Role.WRITE)
    body = {"files": [{"path": DEEP, "size": 1}], "gitIgnore": FOR_EVER}
    status, _, said = ask(hub, "POST", f"/api/models/{REPO}/preupload/main?create_pr=1", body, token=stranger)
    assert status == 400 and b"git check-ignore would take longer" in said
    line = {"key": "lfsFile", "value": {"path": DEEP, "oid": upload(hub, REPO, b"large"), "size": 5}}
    status, _, said = commit(hub, REPO, put(".gitattributes", f"{FOR_EVER} filter=lfs\n"), line)
    assert status == 400 and b"git check-attr would take longer" in said
    assert commit(hub, REPO, put("a.txt"))[0] == 200


def test_who_takes_long_answers_slowly_holds_bounded_memory(narrow: HubInstance) -> None:
    """An address has as much of answers that wait as it has of bodies; files wait on the disk."""
    message = {"key": "header", "value": {"summary": "s", "description": "d" * 1_000_000}}
    for number in range(4):
        assert commit(narrow, REPO, message, put(f"{number}.txt"))[0] == 200
    text = "a line of text\n" * 400_000
    assert commit(narrow, REPO, put("large.txt", text))[0] == 200
    history = f"/api/models/{REPO}/commits/main"
    whole = len(ask(narrow, "GET", history)[2])
    assert whole > 4_000_000
    assert min(taken_at_last(narrow, f"/{REPO}/resolve/main/large.txt", 8)) > len(text)
    assert min(taken_at_last(narrow, history, 8)) < whole < max(taken_at_last(narrow, history, 1))


def taken_at_last(hub: HubInstance, path: str, times: int) -> list[int]:
    """The bytes that each of so many connections gets of an answer that it takes nothing of for a while."""
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.socket()) for _ in range(times)]
        for one in opened:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", int(hub.url.rsplit(":", 1)[1])))
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        time.sleep(1)
        return [sum(len(data) for data in iter(lambda one=one: one.recv(1 << 20), b"")) for one in opened]  # type: ignore[misc]


def test_a_history_that_says_too_much_is_told_in_brief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = RepoName("models", "lab", "one")
    assert Repository.create(tmp_path, name, "alice", {})
    repo = Repository.open(tmp_path, name)
    repo.commit("main", None, [], "alice", "A title\n\n" + "words " * 1000)
    whole = history.log(repo.folder, repo.resolve("main"), limit=5)
    monkeypatch.setattr(history, "MAX_LOG", 1000)
    brief = history.log(repo.folder, repo.resolve("main"), limit=5)
    assert [each.message for each in brief] == ["", ""] and len(whole[0].message) > 1000
    assert [(each.oid, each.title, each.date) for each in brief] == [
        (each.oid, each.title, each.date) for each in whole
    ]


def test_a_repository_that_moves_meanwhile_is_503_and_never_500(narrow: HubInstance) -> None:
    """Whoever reads or writes it then has its old folder in hand."""
    made = {"name": "roving", "organization": "glasshouse"}
    assert ask(narrow, "POST", "/api/repos/create", made)[0] == 200
    names, ended = ("glasshouse/roving", "glasshouse/roving-2"), Event()

    def move() -> list[int]:
        found = []
        while not ended.is_set():
            for source, target in (names, names[::-1]):
                found.append(ask(narrow, "POST", "/api/repos/move", {"fromRepo": source, "toRepo": target})[0])
        return found

    with ThreadPoolExecutor(1) as pool:
        moves = pool.submit(move)
        answers = [commit(narrow, names[0], put("a.txt", str(number)))[0] for number in range(15)]
        answers += [ask(narrow, "GET", f"/api/models/{names[0]}/tree/main?expand=1")[0] for _ in range(30)]
        ended.set()
        assert set(moves.result()) == {200}
    assert set(answers) <= {200, 404, 503} and 200 in answers
    assert not list((narrow.root / "repos" / "models" / "glasshouse").rglob(".commit-*"))


def test_a_full_disk_that_git_meets_is_told_as_such(narrow: HubInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has several words for that; of a ref, it only says that it could not be written."""
    app = create_app(Hub.open(narrow.root))
    request = Request({"type": "http", "app": app})

    folder = narrow.root / "repos"

    def answer(words: str) -> Response:
        found = asyncio.run(app.exception_handlers[git.GitFailed](request, git.GitFailed("commit", words, folder)))
        assert isinstance(found, Response)
        return found

    for words in ("fatal: unable to write loose object file: No space left on device", "write error. Out of diskspace"):
        assert answer(words).status_code == 507 and answer(words).headers["retry-after"] == "60"
    os.utime(folder)  # it changes
    assert answer("cannot update ref").status_code == 503
    monkeypatch.setattr(application, "MOVING_SECONDS", -1)
    with pytest.raises(git.GitFailed):
        answer("cannot update ref")
    full = os.statvfs_result((4096, 4096, 1000, 0, 0, 1000, 500, 500, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda place: full)
    assert answer("cannot update ref").status_code == 507
