"""The Hugging Face cache: what the library lays down is read where it lies, and no link leads out of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.errors import InputError
from registry.hub import cache
from registry.hub.reference import HubReference

COMMIT, SHA1, SHA256 = "c" * 40, "a" * 40, "b" * 64
REFERENCE = HubReference("org/model", "v1.0.0")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of org/model in a cache that keeps two files of its v1.0.0."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--org--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "v1.0.0").write_text(COMMIT)
    (repository / "blobs").mkdir()
    snapshot = repository / "snapshots" / COMMIT
    (snapshot / "sub").mkdir(parents=True)
    for blob, path in ((SHA1, "config.json"), (SHA256, "sub/model.safetensors")):
        (repository / "blobs" / blob).write_text(path)
        (snapshot / path).symlink_to("../" * path.count("/") + f"../../blobs/{blob}")
    return repository


def files() -> list[cache.Kept]:
    return cache.snapshot(REFERENCE).files(100)


def test_links_lead_to_the_blobs(kept: Path) -> None:
    blobs = kept / "blobs"
    assert files() == [
        cache.Kept("config.json", 11, blobs / SHA1), cache.Kept("sub/model.safetensors", 21, blobs / SHA256)
    ]  # fmt: skip
    assert cache.snapshot(HubReference("org/model", COMMIT)).root == kept / "snapshots" / COMMIT


def test_blobs_that_repositories_share_and_files_without_links(kept: Path) -> None:
    shared = kept.parent / "blobs" / "dd" / ("d" * 64)
    shared.parent.mkdir(parents=True)
    (kept / "blobs" / SHA256).replace(shared)
    (kept / "blobs" / SHA256).symlink_to(f"../../blobs/dd/{'d' * 64}")
    plain = kept / "snapshots" / COMMIT / "config.json"
    plain.unlink()
    plain.write_text("plain")
    assert [file.place for file in files()] == [plain, shared]


def link(text: str) -> Callable[[Path], None]:
    """Make config.json a link that says `text`."""

    def spoil(kept: Path) -> None:
        place = kept / "snapshots" / COMMIT / "config.json"
        place.unlink()
        place.symlink_to(text)

    return spoil


def blob_link(text: str) -> Callable[[Path], None]:
    """Make the blob of config.json a link that says `text`."""

    def spoil(kept: Path) -> None:
        (kept / "blobs" / SHA1).unlink()
        (kept / "blobs" / SHA1).symlink_to(text)

    return spoil


def folder_link(name: str) -> Callable[[Path], None]:
    """Move a folder out of the repository's, and link to where it went."""

    def spoil(kept: Path) -> None:
        (kept / name).rename(kept.parent / "moved")
        (kept / name).symlink_to(kept.parent / "moved")

    return spoil


def pipe(kept: Path) -> None:
    (kept / "blobs" / SHA1).unlink()
    os.mkfifo(kept / "blobs" / SHA1)


def linked_folder(kept: Path) -> None:
    (kept / "snapshots" / COMMIT / "more").symlink_to("../../blobs")


HOSTILE = {
    "absolute": link("/etc/passwd"),
    "out of the cache": link("../../../../../etc/passwd"),
    "to a file beside": link("sub/model.safetensors"),
    "another name": link("../../blobs/config"),
    "too far up": link(f"../../../blobs/{SHA1}"),
    "round about": link(f"../../blobs/../blobs/{SHA1}"),
    "a blob that is not there": link(f"../../blobs/{'e' * 40}"),
    "a folder": linked_folder,
    "a blob that leads out": blob_link("/etc/passwd"),
    "a blob that leads to a blob": blob_link(SHA256),
    "a blob that leads to another cache": blob_link(f"../../../blobs/dd/{'d' * 64}"),
    "a shared blob that is not there": blob_link(f"../../blobs/dd/{'d' * 64}"),
    "a pipe": pipe,
    "blobs elsewhere": folder_link("blobs"),
    "snapshots elsewhere": folder_link("snapshots"),
    "the snapshot elsewhere": folder_link(f"snapshots/{COMMIT}"),
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE)
def test_what_leads_elsewhere_is_refused(kept: Path, spoil: Callable[[Path], None]) -> None:
    spoil(kept)
    with pytest.raises(InputError):
        files()


def test_more_files_than_are_looked_at_are_refused(kept: Path) -> None:
    with pytest.raises(InputError, match="more than 1"):
        cache.snapshot(REFERENCE).files(1)


@pytest.mark.parametrize("text", ["", "main", "../" + "c" * 37, "c" * 41])
def test_a_name_that_the_cache_knows_no_commit_of_is_not_there(kept: Path, text: str) -> None:
    (kept / "refs" / "v1.0.0").write_text(text)
    with pytest.raises(InputError, match="is not in the cache") as problem:
        cache.snapshot(REFERENCE)
    assert problem.value.mend.endswith("hf download org/model --revision v1.0.0")


def test_a_pipe_in_the_place_of_a_name_is_not_waited_for(kept: Path) -> None:
    (kept / "refs" / "v1.0.0").unlink()
    os.mkfifo(kept / "refs" / "v1.0.0")
    with pytest.raises(InputError, match="is not in the cache"):
        cache.snapshot(REFERENCE)


VARIABLES: list[dict[str, str]] = [
    {}, {"XDG_CACHE_HOME": "/xdg"}, {"HF_HOME": "~/hf"}, {"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old"},
    {"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "$HOME/new"},
]  # fmt: skip


def test_the_cache_is_where_the_library_has_it() -> None:
    code = "from registry.hub import cache; from huggingface_hub import constants as c, file_download as f"
    code += "; import os; print(cache.folder(), os.path.realpath(c.HF_HUB_CACHE))"
    for variables in VARIABLES:
        environment = {"HOME": "/home/me", "PATH": os.environ["PATH"], **variables}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        ours, theirs = done.stdout.split()
        assert ours == theirs
