"""The server's life and sudden death: what it leaves on the disk is whole."""

from __future__ import annotations

import hashlib
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

from registry.errors import GlasshouseError
from registry.hub.client import HubClient
from registry.manifest import Difference, Manifest
from registry.server.check import examine
from registry.server.problems import Problem
from registry.server.store.uploads import Uploads
from tests.bench import hub_kills
from tests.hub_instance import HubInstance
from tests.registry.server.routes.test_protocol import ask, commit, put


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


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
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


@pytest.mark.parametrize("delay", [0.3, 1.0])
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


def test_old_uploads_are_collected_and_new_ones_kept(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    with uploads.part("an-upload", 1, 0, 4) as upload:
        upload.write(b"part")
    sha256 = hashlib.sha256(b"part").hexdigest()
    with pytest.raises(Problem, match="not all"), uploads.joined("an-upload", 2, sha256, 4):
        pass
    assert uploads.collect(older_than=3600) == 0
    os.utime(tmp_path / "an-upload", (0, 0))
    assert uploads.collect(older_than=3600) == 0  # its bytes are newer
    os.utime(tmp_path / "an-upload" / "data", (0, 0))
    with uploads.one(4) as new, uploads.one(4) as old:
        os.utime(old.path, (0, 0))
        assert uploads.collect(older_than=3600) == 2
        assert new.path.exists() and not old.path.exists()
    with uploads.joined("an-upload", 1, sha256, 4) as path:
        assert path is None
