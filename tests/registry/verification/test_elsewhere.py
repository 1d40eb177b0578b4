"""Releases as other tools lay them down: `hf download` to a folder, and into the cache that `from_pretrained` reads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import api
from registry.attest.verifier import Verifier
from registry.hub.reference import parse
from registry.report import Step
from registry.verification.elsewhere import NOTES, Downloaded
from registry.verification.request import Request
from registry.verification.tree import Tree
from tests.published import REFERENCE, World, published

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with published(tmp_path_factory.mktemp("world")) as made:
        yield made


def download(world: World, **named: Any) -> Path:
    """What huggingface_hub makes of the release, asked for as users ask."""
    from huggingface_hub import snapshot_download

    asked: dict[str, Any] = {"revision": "v1.0.0", "endpoint": world.hub.url, "token": world.hub.token, **named}
    return Path(snapshot_download("org/model", **asked))


# The Hugging Face cache


@pytest.fixture
def snapshot(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The release in a cache of its own; from here on, no Hub answers."""
    root = download(world, cache_dir=tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return root


def verify(world: World) -> api.Report:
    return api.verify(REFERENCE, world.policy, hf_cache=True)


def test_a_release_in_the_cache_is_verified_where_it_lies(world: World, snapshot: Path) -> None:
    assert (snapshot / WEIGHTS).is_symlink()
    report = verify(world)
    assert [check for check in report.checks if check.verdict is not api.Verdict.PASS] == []
    place = next(check for check in report.checks if check.step is Step.PLACE)
    assert place.reason == f"commit {snapshot.name}, read in the Hugging Face cache"
    assert api.fetch(REFERENCE, world.policy, hf_cache=True) == snapshot


def test_the_command_says_so_too(world: World, snapshot: Path) -> None:
    command = [str(Path(sys.executable).parent / "glasshouse"), "verify", "--cache", REFERENCE]
    command += ["--key", str(world.folder / "public.pem")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"commit {snapshot.name}, read in the Hugging Face cache" in done.stdout


def test_a_flipped_byte_in_the_cache_is_seen(world: World, snapshot: Path) -> None:
    blob = (snapshot / WEIGHTS).resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    with pytest.raises(api.FailedReport, match=WEIGHTS):
        api.fetch(REFERENCE, world.policy, hf_cache=True)


def test_a_link_out_of_the_cache_fails_before_anything_is_read(world: World, snapshot: Path) -> None:
    place = snapshot / WEIGHTS
    outside = snapshot.parents[3] / "outside"
    shutil.copy(place, outside)  # the right bytes, in a place that is not the cache's
    place.unlink()
    place.symlink_to(outside)
    report = verify(world)
    assert [check.verdict for check in report.checks] == [api.Verdict.FAIL] + [api.Verdict.UNKNOWN] * 7
    assert "links to" in report.checks[0].reason and str(outside) in report.checks[0].reason


def test_an_added_file_fails(world: World, snapshot: Path) -> None:
    (snapshot / "added.txt").symlink_to(Path("../../blobs") / (snapshot / "config.json").readlink().name)
    report = verify(world)
    assert {check.subject for check in report.checks if check.verdict is api.Verdict.FAIL} >= {"added.txt"}


@pytest.mark.parametrize("gone", [WEIGHTS, "model.sig", "attestations/release.sigstore.json", "provenance/params.yaml"])
def test_of_a_part_nothing_is_said(world: World, snapshot: Path, gone: str) -> None:
    (snapshot / gone).unlink()
    with pytest.raises(api.Unavailable, match="only a part") as problem:
        verify(world)
    assert gone in problem.value.message
    assert problem.value.mend == "download all of it: hf download org/model --revision v1.0.0"


def test_another_release_under_this_name_fails(world: World, snapshot: Path) -> None:
    repository = snapshot.parents[1]
    (repository / "refs" / "v2.0.0").write_text(snapshot.name)
    report = api.verify("hf://org/model@v2.0.0", world.policy, hf_cache=True)
    assert any("under another tag" in check.reason for check in report.checks if check.verdict is api.Verdict.FAIL)


def test_only_a_release_on_a_hub_is_in_its_cache(world: World, tmp_path: Path) -> None:
    with pytest.raises(api.InputError, match="is a directory"):
        api.verify(tmp_path, world.policy, hf_cache=True)
    with pytest.raises(api.InputError, match="goes nowhere else"):
        api.fetch(REFERENCE, world.policy, hf_cache=True, into=tmp_path / "model")


# What `hf download --local-dir` leaves


@pytest.fixture(scope="module")
def once(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return download(world, local_dir=tmp_path_factory.mktemp("local") / "model")


@pytest.fixture
def local(once: Path, tmp_path: Path) -> Path:
    """The release in a folder, with the library's notes."""
    return Path(shutil.copytree(once, tmp_path / "model"))


def test_the_notes_of_a_download_are_no_files_of_the_release(world: World, local: Path) -> None:
    assert any((local / NOTES / "download").rglob("*.metadata"))
    assert api.verify(local, world.policy).verdict is api.Verdict.PASS
    assert not any(path.startswith(".cache") for path, _ in Downloaded(local).files())


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (".cache/more.txt", b"more"),
        (f"{NOTES}model.py", b""),
        (f"{NOTES}.gitignore", b"*\n!*"),
        (f"{NOTES}CACHEDIR.TAG", b"import os"),
        (f"{NOTES}download/config.json.metadata", b"import os"),
        (f"{NOTES}download/config.json.lock", b"1"),
        (f"{NOTES}download/config.json.incomplete", b""),
        (f"{NOTES}trees/{'0' * 40}.json", b"[]"),
        (f"{NOTES}trees/{'0' * 40}.json", b"{"),
    ],
)
def test_anything_else_in_their_folder_fails(world: World, local: Path, path: str, data: bytes) -> None:
    (local / path).parent.mkdir(parents=True, exist_ok=True)
    (local / path).write_bytes(data)
    report = api.verify(local, world.policy)
    assert path in {check.subject for check in report.checks if check.verdict is api.Verdict.FAIL}


def test_of_what_comes_from_a_hub_nothing_is_passed_over(world: World, local: Path) -> None:
    request = Request(parse(REFERENCE), Verifier(world.policy), hf_cache=True)
    report = request.report(Tree(local), "as a Hub sent it")
    assert any(check.subject.startswith(NOTES) for check in report.checks if check.verdict is api.Verdict.FAIL)
