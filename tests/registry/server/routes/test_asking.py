"""Where the server says that it is."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask, batch


def test_links_lead_to_where_the_server_is_reached(tmp_path: Path) -> None:
    """Behind a proxy: not to the host and scheme of the request that came from there."""
    with HubInstance.start(tmp_path / "hub", options=("--url", "https://hub.example.org/")) as hub:
        made = json.loads(ask(hub, "POST", "/api/repos/create", {"name": "model", "organization": "glasshouse"})[2])
        assert made["url"] == "https://hub.example.org/glasshouse/model"
        href = batch(hub, "glasshouse/model", "0" * 64, 5)["actions"]["upload"]["href"]
        assert href.startswith("https://hub.example.org/lfs/object?")
