"""Large files on their way in."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.server.problems import Problem
from registry.server.store.uploads import MAX_PARTS, Upload, Uploads, parts
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, batch, commit, put

NEW = {"name": "model", "organization": "glasshouse"}
REPO = "glasshouse/model"


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
    with uploads.one(4, "a") as new, uploads.one(4, "a") as old:
        os.utime(old.path, (0, 0))
        assert uploads.collect(older_than=3600) == 2
        assert new.path.exists() and not old.path.exists()
    with uploads.joined("an-upload", 1, sha256, 4) as path:
        assert path is None


@given(size=st.integers(1, 10_000), each=st.integers(1, 3_000))
def test_parts_are_the_file_without_a_gap(size: int, each: int) -> None:
    cut = parts(size, each)
    assert [part.number for part in cut] == list(range(1, len(cut) + 1))
    assert [part.offset for part in cut] == [sum(before.size for before in cut[:at]) for at in range(len(cut))]
    assert sum(part.size for part in cut) == size and all(0 < part.size <= each for part in cut)


def test_a_file_of_too_many_parts_is_declined() -> None:
    assert len(parts(MAX_PARTS, 1)) == MAX_PARTS
    with pytest.raises(Problem, match="more than"):
        parts(MAX_PARTS + 1, 1)


def test_nobody_writes_to_a_file_that_was_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is sent once more, slowly, would change the blob after its digest was taken."""
    monkeypatch.setattr("registry.server.store.uploads.JOIN_SECONDS", 0.0)
    uploads, kept = Uploads(tmp_path / "uploads"), tmp_path / "blob"
    good, evil = b"good", b"evil"
    whole = ("an-upload", 1, hashlib.sha256(good).hexdigest(), 4)
    with uploads.part("an-upload", 1, 0, 4) as first:
        first.write(good)
    with uploads.part("an-upload", 1, 0, 4) as again:
        with pytest.raises(Problem, match="busy"), uploads.joined(*whole):
            pass
        again.write(good)
    late = Upload(tmp_path / "uploads" / "an-upload" / "data", 4)
    with uploads.joined(*whole) as path:
        assert path is not None and not late.share()
        with pytest.raises(Problem, match="busy"), uploads.part("an-upload", 1, 0, 4) as meanwhile:
            meanwhile.write(evil)
        path.replace(kept)
    assert not late.share() and kept.read_bytes() == good
    late.close()
