"""Large files go by Xet where the Hub has it, by LFS where it has not; the library alone would fail at the latter.

Against our server with Xet and without, and against one that gives any answer to the question which it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from registry.errors import Unavailable
from registry.hub.client import HubClient
from registry.manifest import Manifest
from tests.hub_instance import HubInstance

TOKEN = {
    "X-Xet-Cas-Url": "https://cas.example.org",
    "X-Xet-Access-Token": "secret",
    "X-Xet-Token-Expiration": str(int(time.time()) + 3600),
}


@pytest.fixture
def stub() -> Iterator[HTTPServer]:
    """Answers everything with `status` and `headers`, and keeps the paths."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.paths.append(self.path)  # type: ignore[attr-defined]
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            for name, value in self.server.headers.items():  # type: ignore[attr-defined]
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Silence."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.headers, server.paths = 200, dict(TOKEN), []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def elsewhere(stub: HTTPServer) -> HubClient:
    return HubClient(f"http://127.0.0.1:{stub.server_address[1]}", "token")


def disabled() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_DISABLE_XET


def test_a_hub_without_xet_gets_lfs(client: HubClient, repo: str, folder: Path) -> None:
    from huggingface_hub.utils._runtime import is_xet_available

    assert is_xet_available()  # the library would speak Xet
    assert not client.commits.offers_xet(repo)
    commit = client.trees.publish(repo, folder, "Release", client.refs.head(repo))
    assert not client.trees.compare(repo, commit, Manifest.of_directory(folder))
    assert not disabled()


def test_a_hub_with_xet_gets_xet(
    xet_hub: HubInstance, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import _commit_api

    sent: list[int] = []
    upload = _commit_api._upload_xet_files

    def told(*, additions: list[Any], **named: Any) -> None:
        upload(additions=additions, **named)
        sent.append(len(additions))

    monkeypatch.setattr(_commit_api, "_upload_xet_files", told)
    client, repo = HubClient(xet_hub.url, xet_hub.token), "glasshouse/by-xet"
    client.repos.ensure(repo)
    progress: list[int] = []
    commit = client.trees.publish(repo, folder, "Release", client.refs.head(repo), progress=progress.append)
    manifest = Manifest.of_directory(folder)
    assert client.commits.offers_xet(repo) and sent == [1] and sum(progress) == manifest.size
    assert not client.trees.compare(repo, commit, manifest)
    assert client.trees.download(repo, commit, tmp_path / "copy") == manifest


def test_it_is_asked_once(elsewhere: HubClient, stub: HTTPServer) -> None:
    for _ in range(2):
        with elsewhere.commits.large_files("org/model", "refs/pr/1"):
            assert not disabled()
    assert stub.paths == ["/api/models/org/model/xet-write-token/refs%2Fpr%2F1"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("status", "headers"), [(404, TOKEN), (403, {}), (200, {}), (200, {"X-Xet-Cas-Url": "x"})])
def test_any_other_answer_is_no(elsewhere: HubClient, stub: HTTPServer, status: int, headers: dict[str, str]) -> None:
    stub.status, stub.headers = status, headers  # type: ignore[attr-defined]
    with elsewhere.commits.large_files("datasets/org/data", "main"):
        assert disabled()
    assert not disabled()


@pytest.mark.parametrize("status", [429, 503])
def test_no_answer_is_no_no(elsewhere: HubClient, stub: HTTPServer, status: int) -> None:
    stub.status = status  # type: ignore[attr-defined]
    with pytest.raises(Unavailable):
        elsewhere.commits.offers_xet("org/model")
    stub.status = 200  # type: ignore[attr-defined]
    assert elsewhere.commits.offers_xet("org/model")


def test_who_turned_xet_off_gets_lfs(elsewhere: HubClient, stub: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with elsewhere.commits.large_files("org/model", "main"):
        assert disabled()
    assert disabled() and stub.paths == []  # type: ignore[attr-defined]
