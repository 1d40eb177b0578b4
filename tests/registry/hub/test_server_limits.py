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
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from registry.hub.client import HubClient
from registry.hub.server import check as checking
from registry.hub.server import limits
from registry.hub.server.limits import Rates
from registry.hub.server.observe import Figures
from tests.hub_instance import HubInstance
from tests.registry.hub.test_server_hostile import raw
from tests.registry.hub.test_server_protocol import ask, commit, put, upload

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


def test_an_unfinished_head_is_hung_up_on() -> None:
    """Drop by drop, in this very process: the real protocol, with less patience."""
    import asyncio

    import uvicorn

    async def application(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request is whole")

    async def drip(writer: asyncio.StreamWriter) -> None:
        for letter in b"GET /slow HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 2000:
            writer.write(bytes([letter]))
            await asyncio.sleep(0.02)

    async def scene() -> float:
        config = uvicorn.Config(application, http=limits.prompt(0.3), ws="none", lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            running = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            started = time.monotonic()
            dripping = asyncio.create_task(drip(writer))
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 20) == b""  # it hangs up, without a word
            seconds = time.monotonic() - started
            dripping.cancel()
            writer.close()
            server.should_exit = True
            await running
        return seconds

    assert 0.2 < asyncio.run(scene()) < 15  # the whole head would take 40 s


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
        deadline = time.monotonic() + 15
        while len(_children(hub)) < 3 or children[0] in _children(hub):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert commit(hub, REPO, put("after.txt"))[0] == 200
        last = _children(hub)
        hub.process.send_signal(signal.SIGTERM)
        assert hub.process.wait(timeout=20) == 0
        assert not any(Path(f"/proc/{child}").exists() for child in last)
    assert checking.check(tmp_path / "hub").faults == ()


def _children(hub: HubInstance) -> list[int]:
    return [int(p) for p in Path(f"/proc/{hub.process.pid}/task/{hub.process.pid}/children").read_text().split()]


def test_the_check_names_what_is_amiss_and_collects_what_is_not_used(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "hub"
    with HubInstance.start(root) as hub:
        client = HubClient(hub.url, hub.token)
        client.ensure_repo(REPO)
        client.publish(REPO, folder, "Release", client.head(REPO))
        orphan = upload(hub, REPO, b"orphan" * 100)
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    ledger = root / "repos" / "models" / f"{REPO}.git" / "contents"
    ledger.write_text("".join(line for line in ledger.read_text().splitlines(True) if orphan not in line))

    def serve_check(*more: str) -> subprocess.CompletedProcess[str]:
        command = [str(COMMAND), "serve", "--root", str(root), "--check", *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = serve_check()
    assert done.returncode == 0 and "0 faults; 1 blobs that nothing refers to" in done.stdout
    assert "0 bytes freed" in serve_check("--collect").stdout  # it is young
    os.utime(hub.blob(orphan), (0, 0))
    assert "600 bytes freed" in serve_check("--collect").stdout
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
