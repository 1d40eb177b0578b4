"""Where checkpoints come from: what a source has laid in the place where they are kept is not written through."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from registry.audit.checkpoint_sources import InFolder, OnHub, Shelf
from registry.errors import Unavailable
from registry.hub.client import HubClient
from registry.records.training_folder import step_name
from tests.registry.audit.test_checkpoint_checks import checkpoint

NO_HUB = cast(HubClient, None)
"""Nothing is asked of it."""


def test_a_link_in_place_of_the_shelf_is_not_written_through(tmp_path: Path) -> None:
    entry = checkpoint(tmp_path / "made")
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch/checkpoints").symlink_to(tmp_path / "victim")
    with pytest.raises(Unavailable, match="checkpoints is not to be had"):
        Shelf((OnHub(NO_HUB, "a/b"),), tmp_path / "scratch/checkpoints").find(entry)
    assert not (tmp_path / "victim").exists()


def test_a_link_in_place_of_a_checkpoint_is_not_written_through(tmp_path: Path) -> None:
    entry = checkpoint(tmp_path / "made")
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / step_name(entry.step)).symlink_to(tmp_path / "victim")
    with pytest.raises(Unavailable, match="cannot be read"):
        Shelf((OnHub(NO_HUB, "a/b"),), tmp_path / "shelf").find(entry)
    assert not (tmp_path / "victim").exists()


def test_whoever_has_a_checkpoint_gives_the_signed_one(tmp_path: Path) -> None:
    folder = tmp_path / step_name(2)
    entry = checkpoint(folder)
    shelf = Shelf((InFolder(tmp_path / "nowhere"), InFolder(tmp_path)), tmp_path / "shelf")
    assert shelf.find(entry) == folder
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(Unavailable, match="step 2 is not at hand"):
        shelf.find(entry)
