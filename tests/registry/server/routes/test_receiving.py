"""Bodies have a bound."""

from __future__ import annotations

import pytest

from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask


@pytest.mark.parametrize("path", ["/api/validate-yaml", "/api/repos/create", "/oauth/token"])
def test_bodies_are_bounded(hub: HubInstance, path: str) -> None:
    assert ask(hub, "POST", path, b" " * (9 << 20))[0] == 413
