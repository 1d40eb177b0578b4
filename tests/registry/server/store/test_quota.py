"""What a namespace may hold."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry.server.problems import Problem
from registry.server.store.quota import Quota
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, batch, commit, put, upload

NEW = {"name": "model", "organization": "glasshouse"}
REPO = "glasshouse/model"


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


def test_two_uploads_together_do_not_exceed_the_quota(tmp_path: Path) -> None:
    """Each fits when it is announced; the second no more when it has come."""
    with HubInstance.start(tmp_path / "hub", options=("--quota", "100000")) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        data = [bytes([number]) * 60_000 for number in range(4)]
        asked = [batch(hub, REPO, hashlib.sha256(each).hexdigest(), 60_000)["actions"]["upload"] for each in data]
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(ask, hub, "PUT", a["href"], d, token="") for a, d in zip(asked, data, strict=True)]
            assert sorted(job.result()[0] for job in jobs) == [200, 403, 403, 403]


def test_who_spends_is_counted_and_stops_nobody(tmp_path: Path) -> None:
    quota = Quota(tmp_path, 100)
    with (
        quota.spending("lab", 60),
        quota.spending("lab", 40),
        quota.spending("other", 100),
        pytest.raises(Problem, match="do not fit"),
        quota.spending("lab", 1),
    ):
        pass
    with quota.spending("lab", 100):
        pass


def test_what_a_dead_process_was_about_to_spend_comes_back(tmp_path: Path) -> None:
    quota = Quota(tmp_path, 100)
    with quota.alone("lab") as folder:
        (folder / "spending-100-left").touch()
    with quota.spending("lab", 100):
        assert [path.name for path in folder.glob("spending-*")] != ["spending-100-left"]


def test_what_a_commit_says_counts_as_what_it_holds(tmp_path: Path) -> None:
    """Its message and its paths stay on the disk as its files do."""
    with HubInstance.start(tmp_path / "hub", options=("--quota", "100000")) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        said = {"key": "header", "value": {"summary": "s", "description": "d" * 90_000}}
        assert commit(hub, REPO, said, put("a.txt"))[0] == 200
        assert commit(hub, REPO, said, put("b.txt"))[0] == 403
        paths = [put(f"{'p' * 200}/{number}") for number in range(80)]
        assert commit(hub, REPO, *paths)[0] == 403 and commit(hub, REPO, *paths[:20])[0] == 200
