"""Clients that crawl, and too many of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, commit, upload

NEW = {"name": "model", "organization": "glasshouse"}
REPO = "glasshouse/model"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """A server that waits for nobody, with a file of 32 MiB."""
    root = tmp_path_factory.mktemp("impatient")
    with HubInstance.start(root) as hub:  # as patient as any while it is filled: a busy machine takes its time
        ask(hub, "POST", "/api/repos/create", NEW)
        value = {"path": "large.bin", "oid": upload(hub, REPO, bytes(32 << 20)), "algo": "sha256"}
        assert commit(hub, REPO, {"key": "lfsFile", "value": value})[0] == 200
    options = ("--head-seconds", "1", "--idle-seconds", "1", "--send-seconds", "1")
    with HubInstance.start(root, options=options) as hub:
        yield hub


def connected(hub: HubInstance) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(60)
    made.connect(("127.0.0.1", int(hub.url.rsplit(":", 1)[1])))
    return made


def test_an_unfinished_head_is_hung_up_on(impatient: HubInstance) -> None:
    """Drop by drop: the bytes that come do not renew the time that is left."""
    with connected(impatient) as client, suppress(ConnectionError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
        client.settimeout(0.05)
        for _ in range(1200):
            client.sendall(b"y")
            with suppress(TimeoutError):
                assert client.recv(100) == b""
                return
        raise AssertionError("after a minute it still listens")


def test_a_body_that_stops_is_given_up(impatient: HubInstance) -> None:
    with connected(impatient) as client:
        client.sendall(b"POST /api/validate-yaml HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf of it")
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_who_does_not_take_the_answer_is_hung_up_on(impatient: HubInstance) -> None:
    with connected(impatient) as client:
        client.sendall(b"GET /%s/resolve/main/large.bin HTTP/1.1\r\nHost: a\r\n\r\n" % REPO.encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        deadline = time.monotonic() + 60
        while b"requests_in_progress 1\n" not in ask(impatient, "GET", "/metrics")[2]:  # this one, and no other
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with suppress(ConnectionError):
            assert sum(map(len, iter(lambda: client.recv(1 << 20), b""))) < 32 << 20
    assert "Traceback" not in (impatient.root / "server.log").read_text()


def test_beyond_so_many_connections_nobody_is_served(tmp_path: Path) -> None:
    with HubInstance.start(tmp_path / "hub", options=("--connections", "3")) as hub, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(hub))
        deadline = time.monotonic() + 60
        while ask(hub, "GET", "/healthz")[0] != 503:
            assert time.monotonic() < deadline
        stack.close()
        while ask(hub, "GET", "/healthz")[0] != 200:
            assert time.monotonic() < deadline
