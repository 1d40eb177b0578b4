"""npm's @huggingface/hub against the server: `make npm` installs it, and runs this."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from registry.server.access.tokens import Role
from tests.hub_instance import HubInstance

FOLDER = Path(__file__).parents[2] / ".npm"
pytestmark = pytest.mark.npm


@pytest.mark.parametrize("xet", ["0", "1"])
def test_it_uploads_lists_downloads_and_deletes(tmp_path: Path, xet: str) -> None:
    shutil.copy(Path(__file__).parent / "client.mjs", FOLDER)
    with HubInstance.start(tmp_path / "hub", xet=True) as hub:
        told = {"HUB": hub.url, "TOKEN": hub.user("js", Role.WRITE), "REPO": "js/model", "XET": xet}
        words, environment = ["node", "client.mjs"], os.environ | told
        done = subprocess.run(
            words, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
