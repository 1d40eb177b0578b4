"""A copy that is made while the server serves is whole, and can be served."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from registry.errors import InputError
from registry.server import check
from registry.server import format as folder_format
from registry.server.access.tokens import Role
from registry.server.backup import back_up
from registry.server.state import Hub
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, put, upload

REPO = "lab/one"
UNIT = Path(__file__).parents[3] / "docs" / "how-to" / "host" / "glasshouse.service"


def large(hub: HubInstance, number: int) -> None:
    data = os.urandom(50_000)
    line = {"key": "lfsFile", "value": {"path": f"{number}.bin", "oid": upload(hub, REPO, data), "size": len(data)}}
    assert commit(hub, REPO, line)[0] == 200


def test_a_copy_made_while_it_serves_is_whole_and_is_served(tmp_path: Path) -> None:
    root, copy = tmp_path / "hub", tmp_path / "copies" / "hub"
    with HubInstance.start(root, organizations=("lab",)) as hub:
        assert ask(hub, "POST", "/api/repos/create", {"name": "one", "organization": "lab", "private": True})[0] == 200
        gone = {"name": "gone", "organization": "lab"}
        assert ask(hub, "POST", "/api/repos/create", gone)[0] == 200
        large(hub, 0)
        stop, made = threading.Event(), list[int]()

        def write() -> None:
            while not stop.is_set():
                made.append(len(made) + 1)
                large(hub, made[-1])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(3):
                back_up(root, copy)
                assert check.examine(copy).faults == ()
        finally:
            stop.set()
            writer.join()
        assert ask(hub, "DELETE", "/api/repos/delete", gone, token=hub.user("root", Role.ADMIN))[0] == 200
        command = [str(Path(sys.executable).parent / "glasshouse"), "serve", "--root", str(root), "--backup", str(copy)]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        again = back_up(root, copy)
        assert (again.blobs, again.repositories) == (0, 1)
        history = ask(hub, "GET", f"/api/models/{REPO}/commits/main")[2]
        files = {n: ask(hub, "GET", f"/{REPO}/resolve/main/{n}.bin")[2] for n in (0, made[-1])}
    shutil.rmtree(root)
    with HubInstance.start(copy, organizations=("lab",)) as restored:
        assert ask(restored, "GET", f"/api/models/{REPO}/commits/main")[2] == history
        assert {n: ask(restored, "GET", f"/{REPO}/resolve/main/{n}.bin")[2] for n in files} == files
        assert ask(restored, "GET", f"/api/models/{REPO}", token="")[0] == 404  # it is as private as it was
        assert b"it was deleted" in ask(restored, "GET", "/api/models/lab/gone")[2]
        assert commit(restored, REPO, put("later.txt"))[0] == 200
    assert check.examine(copy).faults == ()


def test_a_copy_goes_to_a_folder_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    Hub.open(root)
    (root / "repos").mkdir(exist_ok=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    for target in (root, root / "inner", tmp_path / "full"):
        with pytest.raises(InputError):
            back_up(root, target)
    with pytest.raises(InputError, match="not the folder of a server"):
        back_up(tmp_path / "no", tmp_path / "copy")


def test_a_folder_is_brought_to_the_format_and_no_other_is_served(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    (root / "xet" / "alice").mkdir(parents=True)
    (root / "blobs" / "uploads" / "xet-alice").mkdir(parents=True)
    Hub.open(root)  # an older one, without a number
    assert folder_format.version(root) == folder_format.FORMAT
    assert not (root / "xet").exists() and not (root / "blobs" / "uploads" / "xet-alice").exists()
    Hub.open(root)
    for words, match in (("999", "has format 999"), ("x", "holds no number")):
        (root / "format").write_text(words)
        with pytest.raises(InputError, match=match):
            Hub.open(root)
    (root / "format").write_text("1")
    (root / "unfinished").touch()
    with pytest.raises(InputError, match="not finished"):
        Hub.open(root)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("User=glasshouse", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and UNIT.name not in done.stderr, done.stderr
