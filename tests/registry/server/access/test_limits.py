"""What nobody gets more of, what the server tells of itself, and several workers over one folder."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.hub.client import HubClient
from registry.server import check
from registry.server.access.limits import Rates
from registry.server.figures import Figures
from registry.server.store import git
from tests.hub_instance import HubInstance
from tests.registry.server.routes.test_protocol import ask, batch, commit, put, upload
from tests.registry.server.test_hostile import raw

NEW = {"name": "model", "organization": "glasshouse"}
REPO = "glasshouse/model"
COMMAND = Path(sys.executable).parent / "glasshouse"


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 9), st.floats(0.5, 50))
def test_no_address_gets_more_than_its_share(waits: list[float], burst: int, rate: float) -> None:
    rates, now, allowed = Rates(rate, burst), 100.0, 0
    for wait in waits:
        now += wait
        allowed += rates.take("a", now) == 0.0
    assert allowed <= burst + rate * (now - 100.0) + 1e-6


def test_who_asks_too_fast_is_told_to_wait(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--rate", "1", "--burst", "5")) as hub:
        answers = [ask(hub, "GET", "/healthz") for _ in range(8)]
        assert [status for status, *_ in answers][:4] == [200] * 4 and answers[-1][0] == 429
        assert int(answers[-1][1]["retry-after"]) >= 1


def test_a_namespace_has_a_quota(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--quota", "100000")) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        assert upload(hub, REPO, b"x" * 60_000)
        body = {"operation": "upload", "objects": [{"oid": hashlib.sha256(b"y").hexdigest(), "size": 50_000}]}
        status, _, said = ask(hub, "POST", f"/{REPO}.git/info/lfs/objects/batch", body)
        assert status == 403 and b"100000" in said
        assert commit(hub, REPO, put("a.txt", "x" * 50_000))[0] == 403
        assert commit(hub, REPO, put("a.txt", "x" * 30_000))[0] == 200
        assert commit(hub, REPO, put("b.txt", "x" * 30_000))[0] == 403


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A server that waits for nobody, with a file of 32 MiB."""
    root = tmp_path_factory.mktemp("impatient")
    with HubInstance.start(root) as hub:  # as patient as any while it is filled: a busy machine takes its time
        ask(hub, "POST", "/api/repos/create", NEW)
        value = {"path": "large.bin", "oid": upload(hub, REPO, bytes(32 << 20)), "algo": "sha256"}
        assert commit(hub, REPO, {"key": "lfsFile", "value": value})[0] == 200
    options = ("--head-seconds", "1", "--idle-seconds", "1", "--send-seconds", "1")
    with HubInstance.start(root, options=options) as hub:
        yield hub


def connected(hub: HubInstance) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(60)
    made.connect(("127.0.0.1", int(hub.url.rsplit(":", 1)[1])))
    return made


def test_an_unfinished_head_is_hung_up_on(impatient: HubInstance) -> None:
    """Drop by drop: the bytes that come do not renew the time that is left."""
    with connected(impatient) as client, suppress(ConnectionError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
        client.settimeout(0.05)
        for _ in range(1200):
            client.sendall(b"y")
            with suppress(TimeoutError):
                assert client.recv(100) == b""
                return
        raise AssertionError("after a minute it still listens")


def test_a_body_that_stops_is_given_up(impatient: HubInstance) -> None:
    with connected(impatient) as client:
        client.sendall(b"POST /api/validate-yaml HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf of it")
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_who_does_not_take_the_answer_is_hung_up_on(impatient: HubInstance) -> None:
    with connected(impatient) as client:
        client.sendall(b"GET /%s/resolve/main/large.bin HTTP/1.1\r\nHost: a\r\n\r\n" % REPO.encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        deadline = time.monotonic() + 60
        while b"requests_in_progress 1\n" not in ask(impatient, "GET", "/metrics")[2]:  # this one, and no other
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with suppress(ConnectionError):
            assert sum(map(len, iter(lambda: client.recv(1 << 20), b""))) < 32 << 20
    assert "Traceback" not in (impatient.root / "server.log").read_text()


def test_beyond_so_many_connections_nobody_is_served(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--connections", "3")) as hub, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(hub))
        deadline = time.monotonic() + 60
        while ask(hub, "GET", "/healthz")[0] != 503:
            assert time.monotonic() < deadline
        stack.close()
        while ask(hub, "GET", "/healthz")[0] != 200:
            assert time.monotonic() < deadline


def test_so_many_uploads_at_once(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--open-uploads", "1")) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        (tmp_path / "hub" / "blobs" / "uploads" / "under-way").touch()
        action = batch(hub, REPO, hashlib.sha256(b"x").hexdigest(), 1)["actions"]["upload"]
        status, headers, _ = ask(hub, "PUT", action["href"], b"x", token="")
        assert status == 429 and int(headers["retry-after"]) > 0
        assert commit(hub, REPO, put("a.txt"))[0] == 429
        (tmp_path / "hub" / "blobs" / "uploads" / "under-way").unlink()
        assert ask(hub, "PUT", action["href"], b"x", token="")[0] == 200


@pytest.mark.parametrize("path", ["/api/validate-yaml", "/api/repos/create", "/oauth/token"])
def test_bodies_are_bounded(hub: HubInstance, path: str) -> None:
    assert ask(hub, "POST", path, b" " * (9 << 20))[0] == 413


def test_two_uploads_together_do_not_exceed_the_quota(tmp_path: Path) -> None:
    """Each fits when it is announced; the second no more when it has come."""
    with HubInstance.start(tmp_path / "hub", options=("--quota", "100000")) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        data = [bytes([number]) * 60_000 for number in range(4)]
        asked = [batch(hub, REPO, hashlib.sha256(each).hexdigest(), 60_000)["actions"]["upload"] for each in data]
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(ask, hub, "PUT", a["href"], d, token="") for a, d in zip(asked, data, strict=True)]
            assert sorted(job.result()[0] for job in jobs) == [200, 403, 403, 403]


def test_figures_and_the_access_log(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with HubInstance.start(tmp_path / "hub", options=("--access-log", str(log))) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        href = upload(hub, REPO, b"x" * 1000) and f"/{REPO}/resolve/main/nothing?secret=yes"
        assert ask(hub, "GET", href)[0] == 404
        raw(hub, b"nonsense\r\n\r\n")
        text = ask(hub, "GET", "/metrics")[2].decode()
    assert 'glasshouse_hub_requests_total{status="2xx"} 3' in text
    assert 'glasshouse_hub_requests_total{status="4xx"} 1' in text
    assert "glasshouse_hub_uploads_open 0" in text and "glasshouse_hub_request_seconds_count 4" in text
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["status"] for row in rows] == [200, 200, 200, 404, 200]
    assert rows[0]["user"] == "builder" and rows[2]["received"] == 1000
    told = log.read_text()
    assert hub.token not in told and "signature" not in told and "secret" not in told


def test_figures_of_several_workers_are_one_sum() -> None:
    figures = Figures(workers=2)
    for row in (0, 1):
        figures.row = row
        figures.add("2xx", 3)
    assert figures.total("2xx") == 6 and 'status="2xx"} 6' in figures.render()
    figures.add("started", 5)
    figures.row = 0
    figures.add("started", 4)
    assert "in_progress 3" in figures.render()
    figures.settle(1)  # its worker has died with two requests under way
    assert "in_progress 1" in figures.render()


def test_several_workers_lose_nothing_and_are_replaced(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--workers", "3")) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda n: commit(hub, REPO, put(f"{n}.txt"))[0], range(24)))
        assert statuses == [200] * 24
        assert 'requests_total{status="2xx"} 25' in ask(hub, "GET", "/metrics")[2].decode()
        children = _children(hub)
        assert len(children) == 3
        os.kill(children[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(_children(hub)) < 3 or children[0] in _children(hub):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert commit(hub, REPO, put("after.txt"))[0] == 200
        last = _children(hub)
        hub.process.send_signal(signal.SIGTERM)
        assert hub.process.wait(timeout=60) == 0
        assert not any(Path(f"/proc/{child}").exists() for child in last)
    assert check.examine(tmp_path / "hub").faults == ()


def _children(hub: HubInstance) -> list[int]:
    return [int(p) for p in Path(f"/proc/{hub.process.pid}/task/{hub.process.pid}/children").read_text().split()]


def test_what_a_commit_left_that_was_cut_off_is_collected(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    with HubInstance.start(root) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        assert commit(hub, REPO, put("a.txt", "kept"))[0] == 200
        folder = root / "repos" / "models" / f"{REPO}.git"
        left = [git.run(folder, "hash-object", "-w", "--stdin", given=os.urandom(5000)).decode().strip() for _ in "ab"]
        os.utime(folder / "objects" / left[0][:2] / left[0][2:], (0, 0))
        assert check.collect(root, check.examine(root)) > 0
        here = [git.run(folder, "cat-file", "--batch-check", given=oid.encode()).split()[1] for oid in left]
        assert here == [b"missing", b"blob"]  # the other one is young
        assert ask(hub, "GET", f"/{REPO}/resolve/main/a.txt")[2] == b"kept"
        assert commit(hub, REPO, put("b.txt"))[0] == 200
    assert check.examine(root).faults == ()


def test_the_check_names_what_is_amiss_and_collects_what_is_not_used(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "hub"
    with HubInstance.start(root) as hub:
        client = HubClient(hub.url, hub.token)
        client.repos.ensure(REPO)
        client.trees.publish(REPO, folder, "Release", client.refs.head(REPO))
        orphan = upload(hub, REPO, b"orphan" * 100)
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    ledger = root / "repos" / "models" / f"{REPO}.git" / "contents"
    ledger.write_text("".join(line for line in ledger.read_text().splitlines(True) if orphan not in line))

    def serve_check(*more: str) -> subprocess.CompletedProcess[str]:
        command = [str(COMMAND), "serve", "--root", str(root), "--check", *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = serve_check()
    assert done.returncode == 0 and "0 faults; 1 blobs that nothing refers to" in done.stdout
    assert serve_check("--collect").returncode == 0 and hub.blob(orphan).exists()  # it is young
    found = check.examine(root)
    os.utime(hub.blob(orphan), (0, 0))
    assert check.collect(root, found) >= 600 and not hub.blob(orphan).exists()
    blob = hub.blob(sha256)
    data = bytearray(blob.read_bytes())
    data[5] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    done = serve_check()
    assert done.returncode == 1 and f"the blob {sha256} has the digest" in done.stderr
    blob.unlink()
    assert "is not in the store" in serve_check().stderr
    head = root / "repos" / "models" / f"{REPO}.git" / "refs" / "heads" / "main"
    head.write_text("0" * 39 + "1\n")
    assert serve_check().returncode == 1
    assert subprocess.run([COMMAND, "serve", "--root", tmp_path / "no", "--check"], check=False).returncode == 2
