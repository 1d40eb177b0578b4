"""Servers over one folder: who is there, who is dead, and beside whom none may start. On two hosts: make hosts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InputError
from registry.server import neighbours
from registry.server.neighbours import NFS, Neighbour, beside, fault_of

DEVICE = os.makedev(0, 51)
LINE = "36 35 0:51 / /srv/hub rw,relatime shared:1 - {kind} server:/hub rw,{options}"


def test_each_is_there_while_it_serves(tmp_path: Path) -> None:
    with beside(tmp_path) as one, beside(tmp_path):
        one.write()
        assert len(list((tmp_path / "servers").iterdir())) == 2
    assert not list((tmp_path / "servers").iterdir())


@pytest.mark.parametrize("kernel", ["ours", "other", "half a line"])
def test_one_that_died_is_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    monkeypatch.setattr(neighbours, "WATCH_SECONDS", 0.01)
    with beside(tmp_path):
        (file,) = (tmp_path / "servers").iterdir()
        said = file.read_bytes()
    dead = Neighbour.from_bytes(said.split(b"\n")[0], name="servers")
    dead = dead if kernel == "ours" else dead.model_copy(update={"kernel": "another one"})
    file.write_bytes(b'{"ho' if kernel == "half a line" else dead.to_bytes() + b"\n1\n")
    with beside(tmp_path):
        assert file not in (tmp_path / "servers").iterdir()


def test_a_clock_that_is_not_the_disks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="60 seconds apart") as raised, monkeypatch.context() as patch:
        now = time.time
        patch.setattr(time, "time", lambda: now() + 60)
        with beside(tmp_path):
            pass
    assert "NTP" in raised.value.mend and not list((tmp_path / "servers").iterdir())


@pytest.mark.parametrize(
    ("kind", "options", "fault"),
    [
        ("nfs4", ",".join(NFS), None),
        ("nfs4", ",".join(NFS[1:]), "acregmax=0"),
        ("nfs4", ",".join(NFS).replace("local_lock=none", "local_lock=flock"), "local_lock=none"),
        ("nfs4", ",".join(NFS).replace("hard", "soft"), "hard"),
        ("ceph", "", None),
        ("nfs", ",".join(NFS), "nfs is not a file system"),
        ("fuse.sshfs", "", "fuse.sshfs is not"),
        ("ext4", "", "ext4 is not"),
    ],
)
def test_what_two_hosts_may_share(kind: str, options: str, fault: str | None) -> None:
    found = fault_of(f"22 1 8:1 / / rw - ext4 /dev/sda rw\n{LINE.format(kind=kind, options=options)}\n", DEVICE)
    assert found is None if fault is None else found is not None and fault in found


@given(st.text())
def test_whatever_else_stands_there_is_not_known_to_be_safe(mounts: str) -> None:
    assert fault_of(mounts, DEVICE) is not None
