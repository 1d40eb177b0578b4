"""The server's life and sudden death: what it leaves on the disk is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.errors import GlasshouseError, InputError
from registry.hub.client import HubClient
from registry.manifest import Difference, Manifest
from registry.server import check, serve
from registry.server.check import examine
from tests.bench import hub_kills
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, figures, put, until


def check_store(root: Path) -> None:
    """Every repository passes git's check, every blob has the digest of its name."""
    assert examine(root).faults == ()


def test_sigterm_is_a_graceful_stop_and_nothing_is_lost(tmp_path: Path, folder: Path) -> None:
    with HubInstance.start(tmp_path / "hub") as hub:
        client = HubClient(hub.url, hub.token)
        client.repos.ensure("glasshouse/model")
        made = client.trees.publish("glasshouse/model", folder, "Release", client.refs.head("glasshouse/model"))
        hub.process.send_signal(signal.SIGTERM)
        assert hub.process.wait(timeout=60) == 0
    with HubInstance.start(tmp_path / "hub") as hub:
        client = HubClient(hub.url, hub.token)
        assert client.refs.head("glasshouse/model") == made
        assert client.trees.compare("glasshouse/model", made, Manifest.of_directory(folder)) == Difference((), (), ())


BEFORE_IT_LISTENS_FOR_ORDERS = """
run = uvicorn.Server.run
uvicorn.Server.run = lambda self, sockets: (os.kill(os.getpid(), signal.SIGTERM), run(self, sockets))
serve(root=root, port=0)
"""


WHILE_A_WORKER_IS_BORN = """
fork = os.fork
def born():
    child = fork()
    os.kill(os.getpid(), signal.SIGTERM) if child else time.sleep(0.1)
    return child
os.fork = born
serve(root=root, port=0, workers=2)
"""


@pytest.mark.parametrize("moment", [BEFORE_IT_LISTENS_FOR_ORDERS, WHILE_A_WORKER_IS_BORN])
def test_an_order_to_stop_is_heard_whenever_it_comes(tmp_path: Path, moment: str) -> None:
    head = "import os, pathlib, signal, sys, time, uvicorn\nfrom registry.server.run import serve\n"
    code = f"{head}root = pathlib.Path(sys.argv[1])\n{moment}"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(
    "delay", [0.0, 0.1, *(pytest.param(more, marks=pytest.mark.slow) for more in (0.05, 0.15, 0.2, 0.3))]
)
def test_a_server_killed_while_it_takes_in_a_release(tmp_path: Path, folder: Path, delay: float) -> None:
    (folder / "model.safetensors").write_bytes(os.urandom(8 << 20))
    name, root = "glasshouse/model", tmp_path / "hub"
    with HubInstance.start(root, part_size=1 << 20) as hub:
        client = HubClient(hub.url, hub.token)
        client.repos.ensure(name)
        parent = client.refs.head(name)
        killer = threading.Timer(delay, hub.process.kill)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.sleep", lambda _: None)  # the library waits between its attempts
            killer.start()
            try:
                client.trees.publish(name, folder, "Release", parent)
            except GlasshouseError as problem:
                assert problem.exit_code == 3
        killer.join()
        hub.process.wait()
    check_store(root)
    with HubInstance.start(root, part_size=1 << 20) as hub:
        client = HubClient(hub.url, hub.token)
        made = client.trees.publish(name, folder, "Release", parent)
        assert client.trees.compare(name, made, Manifest.of_directory(folder)) == Difference((), (), ())
        history = json.loads(ask(hub, "GET", f"/api/models/{name}/commits/main")[2])
        assert [row["title"] for row in history] == ["Release", "initial commit"]
    check_store(root)


@pytest.mark.parametrize("delay", [0.3, pytest.param(1.0, marks=pytest.mark.slow)])
def test_killed_amid_reading_and_writing_it_keeps_what_it_has_answered(tmp_path: Path, delay: float) -> None:
    """Two of the kills of `python -m tests.bench hub_kills`."""
    counts = hub_kills.killed(tmp_path / "hub", delay, clients=4)
    assert set(counts) <= {200, 206, 412, 429}
    check_store(tmp_path / "hub")


def test_the_command_serves_on_loopback_alone(tmp_path: Path) -> None:
    """docs/how-to/host.md, as it says."""
    glasshouse, root, port = str(Path(sys.executable).parent / "glasshouse"), tmp_path / "hub", tmp_path / "port"
    made = subprocess.run(
        [glasshouse, "token", "create", "alice", "--root", str(root), "--namespace", "lab"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    command = [glasshouse, "serve", "--root", str(root), "--port", "0", "--port-file", str(port)]
    with subprocess.Popen(command) as server:
        try:
            deadline = time.monotonic() + 60
            while not port.exists():
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            number = int(port.read_text())
            client = HubClient(f"http://127.0.0.1:{number}", made.stdout.strip())
            client.repos.ensure("lab/model")
            assert client.commits.offers_xet("lab/model")
            table = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
            rows = [line.split()[1:4] for line in table.splitlines()]
            listening = [local for local, _, state in rows if state == "0A" and local.endswith(f":{number:04X}")]
            assert listening == [f"0100007F:{number:04X}"]
        finally:
            server.terminate()
        assert server.wait(timeout=60) == 0


def test_two_servers_over_one_folder_keep_out_of_each_others_way(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub") as one, HubInstance.start(tmp_path / "hub") as two:
        assert ask(one, "POST", "/api/repos/create", {"name": "model", "organization": "glasshouse"})[0] == 200
        assert ask(two, "POST", "/api/repos/create", {"name": "model", "organization": "glasshouse"})[0] == 409
        repo = "glasshouse/model"
        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(commit, hub, repo, put(f"{n}.txt")) for n in range(10) for hub in (one, two)]
            assert [job.result()[0] for job in jobs] == [200] * 20
        history = json.loads(ask(two, "GET", f"/api/models/{repo}/commits/main")[2])
        assert len(history) == 21
    check_store(tmp_path / "hub")


REPO = "glasshouse/model"
NEW = {"name": "model", "organization": "glasshouse"}


def test_several_workers_lose_nothing_and_are_replaced(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--workers", "3")) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda n: commit(hub, REPO, put(f"{n}.txt"))[0], range(24)))
        assert statuses == [200] * 24
        text, before = figures(hub)
        assert f'requests_total{{status="2xx"}} {25 + before}\n' in text
        children = _children(hub)
        assert len(children) == 3
        os.kill(children[0], signal.SIGKILL)
        until(lambda: len(_children(hub)) == 3 and children[0] not in _children(hub))
        assert commit(hub, REPO, put("after.txt"))[0] == 200
        last = _children(hub)
        hub.process.send_signal(signal.SIGTERM)
        assert hub.process.wait(timeout=60) == 0
        assert not any(Path(f"/proc/{child}").exists() for child in last)
    assert check.examine(tmp_path / "hub").faults == ()


def _children(hub: HubInstance) -> list[int]:
    return [int(p) for p in Path(f"/proc/{hub.process.pid}/task/{hub.process.pid}/children").read_text().split()]


@pytest.mark.parametrize("url", ["hub.example.org", "https://", "https://a b", "javascript:x", "https://a?b"])
def test_only_an_address_can_be_the_servers(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="not the address"):
        serve(root=tmp_path, url=url)
