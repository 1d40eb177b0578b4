"""The look at everything that is kept, and what takes away the unused."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry.hub.client import HubClient
from registry.server import check, collecting
from registry.server.store import git
from registry.server.store.local import LocalBlobs
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload

NEW = {"name": "model", "organization": "glasshouse"}
REPO = "glasshouse/model"
COMMAND = Path(sys.executable).parent / "glasshouse"


def test_what_a_commit_left_that_was_cut_off_is_collected(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    with HubInstance.start(root) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        assert commit(hub, REPO, put("a.txt", "kept"))[0] == 200
        folder = root / "repos" / "models" / f"{REPO}.git"
        left = [git.run(folder, "hash-object", "-w", "--stdin", given=os.urandom(5000)).decode().strip() for _ in "ab"]
        os.utime(folder / "objects" / left[0][:2] / left[0][2:], (0, 0))
        assert collecting.collect(root).freed > 0
        here = [git.run(folder, "cat-file", "--batch-check", given=oid.encode()).split()[1] for oid in left]
        assert here == [b"missing", b"blob"]  # the other one is young
        assert ask(hub, "GET", f"/{REPO}/resolve/main/a.txt")[2] == b"kept"
        assert commit(hub, REPO, put("b.txt"))[0] == 200
    assert check.examine(root).faults == ()


def test_the_check_names_what_is_amiss_and_what_is_not_used_is_collected(tmp_path: Path, folder: Path) -> None:
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
    os.utime(hub.blob(orphan), (0, 0))
    assert collecting.collect(root).freed >= 600 and not hub.blob(orphan).exists()
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


def test_what_held_is_read_again_only_when_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, read = tmp_path / "hub", list[str]()
    digest, run = LocalBlobs.digest, git.run

    def digested(self: LocalBlobs, sha256: str) -> str:
        read.append(sha256)
        return digest(self, sha256)

    def ran(folder: Path, *words: str, **more: Any) -> bytes:
        read.extend(word for word in words if word == "fsck")
        return run(folder, *words, **more)

    monkeypatch.setattr(LocalBlobs, "digest", digested)
    monkeypatch.setattr(git, "run", ran)
    with HubInstance.start(root) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        first = upload(hub, REPO, b"first" * 300)
        for expected in (["fsck", first], []):
            read.clear()
            assert check.examine(root).faults == () and read == expected
        second = upload(hub, REPO, b"second" * 300)
        read.clear()
        assert check.examine(root).faults == () and read == [second]
        assert commit(hub, REPO, put("a.txt"))[0] == 200
        read.clear()
        assert check.examine(root).faults == () and read == ["fsck"]
    read.clear()
    assert check.examine(root, everything=True).faults == () and sorted(read) == sorted(["fsck", first, second])
