"""Releases are found where they lie, and each says what it was signed to say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.attest.policy import Policy
from registry.attest.verifier import Verifier
from registry.catalog import entry, shelves
from registry.catalog.entry import Whom
from registry.errors import DigestMismatch, GlasshouseError, InputError, Unavailable
from registry.hub.client import HubClient
from registry.records import layout
from registry.release import status
from registry.report import Verdict
from tests.published import World
from tests.registry.catalog.conftest import FIRST, SECOND


@pytest.mark.parametrize("where", ["hf://", "hf://org", "hf://org/model"])
def test_a_hub_lists_each_release_the_newest_version_first(world: World, where: str) -> None:
    assert [str(place.reference) for place in shelves.find_all(where, endpoint=None)] == [SECOND, FIRST]


def test_an_owner_without_models_has_no_release(world: World) -> None:
    assert shelves.find_all("hf://nobody", endpoint=None) == []


def test_a_folder_lists_the_releases_below_it_and_follows_no_link(world: World, tmp_path: Path) -> None:
    for name in ("model/v1.9.0", "model/v1.10.0", "other/v1.0.0"):
        shutil.copytree(world.folder / "model", tmp_path / name)
    (tmp_path / "linked").symlink_to(world.folder)
    found = [str(place.reference) for place in shelves.find_all(str(tmp_path), endpoint=None)]
    assert found == [str(tmp_path / name) for name in ("model/v1.10.0", "model/v1.9.0", "other/v1.0.0")]


@pytest.mark.parametrize("where", ["hf://a/b/c", "hf://../x", "/nowhere", "hf://org/model@", "hf://-x"])
def test_what_names_no_place_is_bad_input(world: World, where: str) -> None:
    with pytest.raises(InputError):
        shelves.find_all(where, endpoint=None)


def test_who_signed_is_held_to_who_was_expected(world: World, whom: Whom, nobody: Whom) -> None:
    place = shelves.find(FIRST, endpoint=None)
    known = entry.read(place, whom)
    assert known.signature.verdict is Verdict.PASS and known.signature.words.startswith("key sha256:")
    assert entry.read(place, nobody).signature.verdict is Verdict.UNKNOWN
    other = Policy.of({"signers": [{"kind": "identity", "identity": "a@b.example", "issuer": "https://c.example"}]},
                      name="other")  # fmt: skip
    stranger = Whom(nobody.trust, Verifier(other))
    assert entry.read(place, stranger).signature.verdict is Verdict.FAIL


def test_a_release_under_another_tag_is_told(world: World, whom: Whom) -> None:
    hub = HubClient()
    hub.refs.tag("org/model", "v7.0.0", hub.refs.tags("org/model")["v1.0.0"], "moved")
    found = entry.read(shelves.find("hf://org/model@v7.0.0", endpoint=None), whom)
    assert found.signature.verdict is Verdict.FAIL and "another tag" in found.signature.words


def test_a_record_is_shown_only_as_it_was_signed(signed: Callable[..., Path], whom: Whom) -> None:
    folder = signed()
    found = entry.read(shelves.find(str(folder), endpoint=None), whom)
    assert found.record.tag == "v1.0.0"
    (folder / layout.PARAMS).write_bytes(b"seed: 8\n")
    with pytest.raises(DigestMismatch):
        found.yaml(layout.PARAMS)
    with pytest.raises(Unavailable):
        found.read("provenance/nothing.json")
    (folder / layout.STAGES).unlink()
    (folder / layout.STAGES).symlink_to(folder / layout.RECORD)
    with pytest.raises(InputError):
        found.read(layout.STAGES)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 10_000, b"\xff"])
def test_what_is_no_statement_raises_our_error(signed: Callable[..., Path], whom: Whom, data: bytes) -> None:
    folder = signed()
    (folder / layout.RELEASE_ATTESTATION).write_bytes(data)
    with pytest.raises(GlasshouseError):
        entry.read(shelves.find(str(folder), endpoint=None), whom)


def test_a_yank_is_heard(world: World, whom: Whom, nobody: Whom) -> None:
    from registry.attest.localkey import KeySigner

    hub, place = HubClient(), shelves.find(SECOND, endpoint=None)
    assert entry.read(place, whom).standing[0] is Verdict.PASS
    assert entry.read(place, nobody).standing[0] is Verdict.UNKNOWN
    bundle = status.of_directory(world.folder / "second")
    said = status.statement(bundle, "yanked", "it leaks", after=status.link(bundle, hub))
    status.publish(said, KeySigner(world.folder / "private.pem").sign(said), hub)
    verdict, words = entry.read(place, whom).standing
    assert verdict is Verdict.FAIL and "it leaks" in words
