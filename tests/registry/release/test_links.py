"""`cache.type symlink`: the outputs of a project are links into DVC's cache, and a release is cut all the same."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from registry.errors import InputError
from registry.hub.metadata import front_matter
from registry.project import dvc_links
from tests.registry.project.small_dvc import RECORD, commit, dvc
from tests.registry.release.test_adopt import RELEASE, STAGES, glasshouse, key, project

__all__ = ["key"]
DRAFTED = f"""{STAGES}
  draft:
    cmd: {RECORD} -- python -m registry release prepare --draft
    deps: [out/model, scores.json]
    outs: [out/draft, draft.run.json]
"""
LANGUAGES = "languages: [no, en], output: out/draft}\n"
"""`no` is false to YAML 1.1, and Norwegian."""


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A project whose last stage writes the draft, and whose outputs are links."""
    release = RELEASE.replace("}\n", f", {LANGUAGES}")
    root = project(tmp_path / "project", "onnx", DRAFTED, **{"glasshouse.yaml": release})
    dvc("config", "cache.type", "symlink", root=root)
    commit(root)
    dvc("checkout", "--relink", root=root)
    return root


def test_a_release_is_cut_from_links_into_the_cache_and_from_no_other(
    linked: Path, key: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    for path in ("out/model/model.onnx", "out/draft/model.onnx", "scores.json"):
        assert (linked / path).is_symlink()
    dvc("repro", "--force", root=linked)
    glasshouse(linked, "release", "cut", "--local", "--key", key[0])
    folder = linked / "releases/small/v1.0.0"
    assert json.loads(glasshouse(linked, "verify", str(folder), "--key", key[1], "--json"))["verdict"] == "PASS"
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert (front_matter((folder / "README.md").read_bytes()) or {})["language"] == ["no", "en"]
    assert "- 'no'\n" in (folder / "README.md").read_text()

    (linked.parent / "elsewhere").write_text("x")
    (linked / "out/draft/model.onnx").unlink()
    (linked / "out/draft/model.onnx").symlink_to(linked.parent / "elsewhere")
    with pytest.raises(InputError, match="which is not in the cache of this project"):
        dvc_links.plain_folder(linked, linked / "out/draft")


def test_links_of_ones_own_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(dvc_links, "_cache", lambda root: cache)
    for place in (cache / "ab", tmp_path / "folder", tmp_path / "plain"):
        place.mkdir(parents=True)
        (place / "file").write_text("x")
    assert dvc_links.plain_folder(tmp_path, tmp_path / "plain") == tmp_path / "plain"
    (tmp_path / "folder/good").symlink_to(cache / "ab/file")
    view = dvc_links.plain_folder(tmp_path, tmp_path / "folder")
    assert view != tmp_path / "folder" and sorted(path.name for path in view.iterdir()) == ["file", "good"]
    assert not any(path.is_symlink() for path in view.iterdir()) and (view / "good").read_text() == "x"
    for target in (tmp_path / "plain/file", "/dev/zero", cache / "ab", cache / "../plain/file", tmp_path / "nothing"):
        (tmp_path / "folder/bad").symlink_to(target)
        with pytest.raises(InputError):
            dvc_links.plain_folder(tmp_path, tmp_path / "folder")
        (tmp_path / "folder/bad").unlink()
    os.mkfifo(tmp_path / "folder/pipe")
    (tmp_path / "folder/also").symlink_to(cache / "ab/file")
    with pytest.raises(InputError):
        dvc_links.plain_folder(tmp_path, tmp_path / "folder")
