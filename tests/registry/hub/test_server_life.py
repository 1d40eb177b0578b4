"""The server's life and sudden death: what it leaves on the disk is whole."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import GlasshouseError, InputError
from registry.hub.client import HubClient
from registry.hub.server.auth import Tokens, User
from registry.hub.server.blobs import BlobStore
from registry.hub.server.problems import Problem
from registry.manifest import Difference, Manifest
from tests.hub_instance import HubInstance
from tests.registry.hub.test_server_protocol import ask, commit, put


def check_store(root: Path) -> None:
    """Every repository passes git's check, every blob has the digest of its name."""
    for repository in (root / "repos").glob("*/*/*.git"):
        subprocess.run(["git", f"--git-dir={repository}", "fsck", "--strict", "--no-dangling"], check=True)
    for blob in (root / "blobs" / "sha256").glob("*/*/*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_sigterm_is_a_graceful_stop_and_nothing_is_lost(tmp_path: Path, folder: Path) -> None:
    with HubInstance.start(tmp_path / "hub") as hub:
        client = HubClient(hub.url, hub.token)
        client.ensure_repo("glasshouse/model")
        made = client.publish("glasshouse/model", folder, "Release", client.head("glasshouse/model"))
        hub.process.send_signal(signal.SIGTERM)
        assert hub.process.wait(timeout=20) == 0
    with HubInstance.start(tmp_path / "hub") as hub:
        client = HubClient(hub.url, hub.token)
        assert client.head("glasshouse/model") == made
        assert client.verify_remote("glasshouse/model", made, Manifest.of_directory(folder)) == Difference((), (), ())


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_a_server_killed_while_it_takes_in_a_release(tmp_path: Path, folder: Path, delay: float) -> None:
    (folder / "model.safetensors").write_bytes(os.urandom(8 << 20))
    name, root = "glasshouse/model", tmp_path / "hub"
    with HubInstance.start(root, part_size=1 << 20) as hub:
        client = HubClient(hub.url, hub.token)
        client.ensure_repo(name)
        parent = client.head(name)
        killer = threading.Timer(delay, hub.process.kill)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.sleep", lambda _: None)  # the library waits between its attempts
            killer.start()
            try:
                client.publish(name, folder, "Release", parent)
            except GlasshouseError as problem:
                assert problem.exit_code == 3
        killer.join()
        hub.process.wait()
    check_store(root)
    with HubInstance.start(root, part_size=1 << 20) as hub:
        client = HubClient(hub.url, hub.token)
        made = client.publish(name, folder, "Release", parent)
        assert client.verify_remote(name, made, Manifest.of_directory(folder)) == Difference((), (), ())
        history = json.loads(ask(hub, "GET", f"/api/models/{name}/commits/main")[2])
        assert [row["title"] for row in history] == ["Release", "initial commit"]
    check_store(root)


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
        HubClient(hub.url, hub.token).ensure_repo("glasshouse/model")
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
    blobs = BlobStore(tmp_path)
    with blobs.upload(10) as upload:
        upload.write(b"part")
        blobs.keep_part(upload, "an-upload", 1)
    assert blobs.collect(older_than=3600) == 0
    os.utime(tmp_path / "uploads" / "an-upload", (0, 0))
    assert blobs.collect(older_than=3600) == 1
    with pytest.raises(Problem, match="not all"):
        blobs.assemble("an-upload", "0" * 64, 4, 1)


def test_tokens_are_read_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("# who may write\n\nbuilder:a-long-token:glasshouse,lab\nguest:another-token\n")
    tokens = Tokens.read(path)
    assert tokens.user("Bearer a-long-token") == User("builder", ("glasshouse", "lab"))
    assert tokens.user("bearer another-token") == User("guest")
    assert tokens.user(None) is None
    with pytest.raises(Problem) as problem:
        tokens.user("Bearer unknown")
    assert problem.value.status == 401
    assert not User("guest").may_write("builder")


@pytest.mark.parametrize(
    "line", ["builder", "builder:short", "../x:a-long-token", "a:a-long-token:b c", "a:long-token:b:c"]
)
def test_bad_token_lines_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# fine\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        Tokens.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        Tokens.read(tmp_path / "nothing")


@given(st.binary(max_size=60))
def test_any_file_of_tokens_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-tokens"
    path.write_bytes(data)
    try:
        Tokens.read(path)
    except InputError:
        return
