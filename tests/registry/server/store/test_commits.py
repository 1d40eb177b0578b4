"""The body of a commit."""

from __future__ import annotations

import base64

from registry.hub.client import HubClient
from tests.hub_instance import HubInstance
from tests.registry.server.asking import commit


def test_base64_is_checked(hub: HubInstance, client: HubClient, repo: str) -> None:
    line = {"key": "file", "value": {"path": "a.bin", "content": "a!b=", "encoding": "base64"}}
    assert commit(hub, repo, line)[0] == 400
    line["value"]["content"] = base64.b64encode(b"\r\n\0").decode()  # type: ignore[index]
    assert commit(hub, repo, line)[0] == 200
    assert client.files.read(repo, client.refs.head(repo), "a.bin", max_bytes=10) == b"\r\n\0"
