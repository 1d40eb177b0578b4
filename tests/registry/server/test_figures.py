"""What the server tells of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.server.figures import Figures
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, figures, put, raw, upload

NEW = {"name": "model", "organization": "glasshouse"}
REPO = "glasshouse/model"


def test_figures_and_the_access_log(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with HubInstance.start(tmp_path / "hub", options=("--access-log", str(log))) as hub:
        ask(hub, "POST", "/api/repos/create", NEW)
        href = upload(hub, REPO, b"x" * 1000) and f"/{REPO}/resolve/main/nothing?secret=yes"
        assert ask(hub, "GET", href)[0] == 404
        raw(hub, b"nonsense\r\n\r\n")
        text, before = figures(hub)
    assert f'glasshouse_hub_requests_total{{status="2xx"}} {3 + before}\n' in text
    assert 'glasshouse_hub_requests_total{status="4xx"} 1' in text
    assert "glasshouse_hub_uploads_open 0" in text and f"glasshouse_hub_request_seconds_count {4 + before}\n" in text
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["status"] for row in rows] == [200, 200, 200, 404, *[200] * (1 + before)]
    assert rows[0]["user"] == "builder" and rows[2]["received"] == 1000
    told = log.read_text()
    assert hub.token not in told and "signature" not in told and "secret" not in told


def test_figures_of_several_workers_are_one_sum() -> None:
    counted = Figures(workers=2)
    for row in (0, 1):
        counted.row = row
        counted.add("2xx", 3)
    assert counted.total("2xx") == 6 and 'status="2xx"} 6' in counted.render()
    counted.add("started", 5)
    counted.row = 0
    counted.add("started", 4)
    assert "in_progress 3" in counted.render()
    counted.settle(1)  # its worker has died with two requests under way
    assert "in_progress 1" in counted.render()


@pytest.mark.parametrize(("options", "client"), [(("--proxy", "127.0.0.0/8"), "9.9.9.9"), ((), "127.0.0.1")])
def test_a_named_proxy_says_for_whom_it_asks(tmp_path: Path, options: tuple[str, ...], client: str) -> None:
    log = tmp_path / "access.log"
    with HubInstance.start(tmp_path / "hub", options=(*options, "--access-log", str(log))) as hub:
        head = {"X-Forwarded-For": "6.6.6.6, 9.9.9.9"}  # the first is what the client itself may have written
        assert ask(hub, "GET", "/healthz", None, head)[0] == 200
    assert json.loads(log.read_text().splitlines()[0])["client"] == client


def test_each_metric_says_what_it_is_and_namespaces_have_their_own(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", organizations=("lab",)) as hub:
        assert ask(hub, "POST", "/api/repos/create", {"name": "one", "organization": "lab"})[0] == 200
        assert commit(hub, "lab/one", put("a.txt", "x" * 500))[0] == 200
        text = ask(hub, "GET", "/metrics")[2].decode()
    names = {line.split("{")[0].split()[0] for line in text.splitlines() if not line.startswith("#")}
    described = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
    assert described == {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in names} == described
    held = len("A commit") + len("a.txt") + 500
    assert f'glasshouse_hub_held_bytes{{namespace="lab"}} {held}\n' in text
    assert 'glasshouse_hub_repositories{namespace="lab"} 1\n' in text
