"""Asking the server directly, as no client would: nothing is quoted, checked or followed."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote, urlsplit

from tests.hub_instance import HubInstance

Answer = tuple[int, dict[str, str], bytes]


def ask(
    hub: HubInstance,
    method: str,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    token: str | None = None,
) -> Answer:
    """One request, as it stands: nothing is quoted, checked or followed."""
    authorization = {"Authorization": f"Bearer {token or hub.token}"} if token != "" else {}
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    with closing(http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=60)) as connection:
        connection.request(method, path.removeprefix(hub.url), data, authorization | (headers or {}))
        response = connection.getresponse()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what a server does after it has answered, such as its line in the log; fails when it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.05)


def figures(hub: HubInstance) -> tuple[str, int]:
    """What the server counts, once it has counted all that it has answered; and how often it was asked before."""
    for before in itertools.count():
        text = ask(hub, "GET", "/metrics")[2].decode()
        if "requests_in_progress 1\n" in text:  # this one
            return text, before
        assert before < 1000, text
        time.sleep(0.05)
    raise AssertionError


def raw(hub: HubInstance, data: bytes) -> bytes:
    """The first line of what the server answers to `data`, sent as it stands; nothing where it hangs up."""
    address = "127.0.0.1", int(hub.url.rsplit(":", 1)[1])
    with socket.create_connection(address, timeout=60) as connection, suppress(ConnectionError):
        connection.sendall(data)  # the server may hang up before it has heard it all
        return connection.recv(200).split(b"\r\n")[0]
    return b""


def commit(hub: HubInstance, repo: str, *lines: dict[str, Any], branch: str = "main") -> Answer:
    head = {"key": "header", "value": {"summary": "A commit"}}
    given = lines if any(line.get("key") == "header" for line in lines) else (head, *lines)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in given)
    return ask(hub, "POST", f"/api/models/{repo}/commit/{quote(branch, safe='')}", body)


def put(path: str, content: str = "text") -> dict[str, Any]:
    return {"key": "file", "value": {"path": path, "content": content, "encoding": "utf-8"}}


def upload(hub: HubInstance, repo: str, data: bytes) -> str:
    """Send one large file by the basic transfer; its SHA-256."""
    sha256 = hashlib.sha256(data).hexdigest()
    action = batch(hub, repo, sha256, len(data))["actions"]["upload"]
    assert ask(hub, "PUT", action["href"], data, token="")[0] == 200
    return sha256


def batch(hub: HubInstance, repo: str, sha256: str, size: int, *transfers: str, operation: str = "upload") -> Any:
    body = {"operation": operation, "transfers": list(transfers), "objects": [{"oid": sha256, "size": size}]}
    status, _, answer = ask(hub, "POST", f"/{repo}.git/info/lfs/objects/batch", body)
    assert status == 200
    return json.loads(answer)["objects"][0]


BAD_PATHS = [
    "../up.txt", "/absolute.txt", "a/../b.txt", "a//b.txt", "./a.txt", "a/.git/config", ".GIT/hooks/x", "git~1/x",
    "a\\b.txt", "a\nb.txt", "a\r\nX-Injected: y", "a\0b", "C:/x.txt", "trailing. ", "e\u0301.txt", "\ud800.txt",
    "x" * 1100,
]  # fmt: skip
