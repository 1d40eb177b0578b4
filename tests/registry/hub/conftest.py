"""One server for the tests of this folder, and repositories of their own in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.hub.client import HubClient
from tests.hub_instance import HubInstance

_NUMBERS = itertools.count()
PART_SIZE = 1 << 20


@pytest.fixture(scope="session", autouse=True)
def quiet_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No token, endpoint, cache or proxy of the machine reaches a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("huggingface")))  # hf_xet keeps what it sent, by address
        patch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        yield


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """The real server, in a real process; uploads beyond 1 MiB come in parts."""
    with HubInstance.start(tmp_path_factory.mktemp("hub"), part_size=PART_SIZE) as instance:
        yield instance


@pytest.fixture(scope="session")
def xet_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """Another, which takes uploads by Xet, as one started by `glasshouse serve` does."""
    with HubInstance.start(tmp_path_factory.mktemp("xet-hub"), part_size=PART_SIZE, xet=True) as instance:
        yield instance


@pytest.fixture
def client(hub: HubInstance) -> HubClient:
    """Our client, with the token of the server's one user."""
    return HubClient(hub.url, hub.token)


@pytest.fixture
def repo(client: HubClient) -> str:
    """A new, empty repository."""
    name = f"glasshouse/model-{next(_NUMBERS)}"
    client.repos.ensure(name)
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small release: a card, weights in several parts, a file in a directory, an empty one."""
    root = tmp_path / "release"
    (root / "provenance").mkdir(parents=True)
    (root / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    (root / "model.safetensors").write_bytes(bytes(range(256)) * 10_000)
    (root / "provenance" / "release.json").write_text("{}")
    (root / "empty.txt").touch()
    return root
