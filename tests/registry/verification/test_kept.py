"""A release that is fetched is there after it was verified, and is verified again each time it is asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from registry import api
from registry.attest.policy import Policy, StatusPolicy
from registry.attest.signers import PublicKey
from registry.hub.client import HubClient
from registry.hub.client.trees import Trees
from registry.manifest import Manifest
from registry.openness.cards import model_card
from registry.openness.documents import every
from registry.records import layout
from registry.release import companions
from registry.release.companions import PlannedCompanion
from registry.variables import CACHE
from registry.verification import kept
from tests import synthetic_release
from tests.published import REFERENCE, World, published
from tests.registry.attest.conftest import write_key

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with published(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def fetch(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`glasshouse.fetch` with an empty store, by the right policy unless another is given."""
    monkeypatch.setenv(CACHE, str(tmp_path / "store"))
    return lambda policy=world.policy, **named: api.fetch(REFERENCE, policy, **named)


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, nothing can be downloaded."""

    def fail(*arguments: object, **named: object) -> None:
        raise AssertionError("it is downloaded again")

    return lambda: monkeypatch.setattr(Trees, "download", fail)


def flip(path: Path, *, at: int) -> None:
    """Change one byte, and nothing else that a user could change back."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=times)


def test_what_is_given_is_the_release_and_nothing_else(
    world: World, fetch: Callable[..., Path], tmp_path: Path, no_download: Callable[[], None]
) -> None:
    folder = fetch()
    commit = HubClient().refs.resolve("org/model", "v1.0.0")
    host = world.hub.url.removeprefix("http://").replace(":", "_")
    assert folder == tmp_path / "store" / "releases" / host / "org" / "model" / commit
    assert Manifest.of_directory(folder) == Manifest.of_directory(world.folder / "model")
    no_download()
    assert fetch() == folder


def test_into_a_directory_of_ones_own(world: World, fetch: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert fetch(into=tmp_path / "mine") == tmp_path / "mine"
    assert Manifest.of_directory(tmp_path / "mine") == Manifest.of_directory(world.folder / "model")
    assert fetch(into=tmp_path / "mine") == tmp_path / "mine"


def test_a_directory_is_verified_where_it_lies(world: World, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(world.folder / "model", tmp_path / "model"))
    assert api.fetch(folder, world.policy) == folder
    flip(folder / WEIGHTS, at=-1)
    with pytest.raises(api.FailedReport, match=WEIGHTS):
        api.fetch(folder, world.policy)


@pytest.mark.parametrize("trust_cache", [False, True])
def test_a_flipped_byte_in_what_is_kept_is_seen(
    fetch: Callable[..., Path], no_download: Callable[[], None], trust_cache: bool
) -> None:
    folder = fetch(trust_cache=trust_cache)
    flip(folder / WEIGHTS, at=1 << 20)
    no_download()
    with pytest.raises(api.FailedReport, match=WEIGHTS) as problem:
        fetch(trust_cache=trust_cache)
    assert str(folder) in problem.value.mend and (folder / WEIGHTS).is_file()
    assert {check.subject for check in problem.value.report.checks if check.verdict is api.Verdict.FAIL} >= {WEIGHTS}


def test_only_who_trusts_the_cache_is_spared_the_hashing(
    fetch: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    folder = fetch()
    whole = Manifest.of_directory(folder).size
    fetch(progress=hashed.append)
    assert sum(hashed) == whole
    hashed.clear()
    fetch(trust_cache=True, progress=hashed.append)
    assert hashed == []
    (folder / "config.json").touch()
    fetch(trust_cache=True, progress=hashed.append)
    assert sum(hashed) == (folder / "config.json").stat().st_size


def test_who_trusts_the_cache_trusts_no_signer_more_for_it(fetch: Callable[..., Path], tmp_path: Path) -> None:
    fetch(trust_cache=True)
    stranger = api.KeySigner(write_key(tmp_path / "other.pem")).public_key
    with pytest.raises(api.FailedReport, match="signature"):
        fetch(policy=Policy(signers=(stranger,)), trust_cache=True)


def test_a_note_that_cannot_be_read_is_not_believed(fetch: Callable[..., Path]) -> None:
    folder = fetch(trust_cache=True)
    note = folder.with_name(f".{folder.name}.measured.json")
    assert note.is_file()
    note.write_bytes(b'{"schema": "glasshouse.measured/v1", "files": {"model.safetensors": {}}}')
    flip(folder / WEIGHTS, at=1 << 20)
    with pytest.raises(api.FailedReport, match=WEIGHTS):
        fetch(trust_cache=True)


def test_what_does_not_hold_never_appears(world: World, fetch: Callable[..., Path], tmp_path: Path) -> None:
    manifest = Manifest.of_directory(world.folder / "model").by_path()
    blob = world.hub.blob(manifest[WEIGHTS].sha256)
    blob.chmod(0o644)
    flip(blob, at=1 << 20)
    try:
        with pytest.raises(api.FailedReport, match=WEIGHTS):
            fetch(into=tmp_path / "new" / "model")
    finally:
        flip(blob, at=1 << 20)
    assert list((tmp_path / "new").iterdir()) == []
    assert fetch(into=tmp_path / "new" / "model").is_dir()


def test_what_could_not_be_checked_never_appears(world: World, fetch: Callable[..., Path], tmp_path: Path) -> None:
    (key,) = world.policy.signers
    assert isinstance(key, PublicKey)
    with pytest.raises(api.UnknownReport, match="no signed word on its status"):
        fetch(policy=Policy(signers=(key,), status=StatusPolicy(max_age_days=1)), into=tmp_path / "new" / "model")
    assert list((tmp_path / "new").iterdir()) == []


def test_where_releases_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert kept.store() == Path("/caches/glasshouse")
    assert kept.place("https://hub.example:8080/a", "org/model", "c" * 40) == Path(
        f"/caches/glasshouse/releases/hub.example_8080_a/org/model/{'c' * 40}"
    )
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert kept.store() == Path("/home/me/.cache/glasshouse")


# What belongs to a release in another repository

LARGE, FORM = "hf://org/large@v1.0.0", "org/large-form"


@pytest.fixture(scope="module")
def accompanied(world: World) -> Path:
    """Where a companion of org/large is laid out; both are on the Hub, beside one more that nobody asks for."""
    folder = world.folder / "large"
    record = synthetic_release.write(folder, repo="org/large")
    card = b"---\nlicense: mit\nbase_model: org/large\nbase_model_relation: quantized\n---\n# Another form\n"
    made = [
        PlannedCompanion(FORM, {"README.md": card, "model.gguf": b"GGUF" + bytes(3 << 20)}),
        PlannedCompanion("datasets/org/large-data", {"README.md": b"---\nlicense: mit\n---\n", "a.parquet": b"PAR1"}),
    ]
    for companion in made:
        companion.write(companions.place(folder, companion.repo))
    record = record.model_copy(update={"companions": tuple(companion.record for companion in made)})
    (folder / layout.RECORD).write_bytes(record.to_bytes())
    every.write(folder)
    about = replace(synthetic_release.ABOUT, repo="org/large")
    (folder / layout.CARD).write_text(model_card.render(folder, about, version="1.0.0"))
    api.sign(folder, api.KeySigner(world.folder / "private.pem"))
    api.publish(folder)
    return companions.place(folder, FORM)


@pytest.fixture
def fetch_large(
    world: World, accompanied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """`glasshouse.fetch` of org/large with an empty store."""
    monkeypatch.setenv(CACHE, str(tmp_path / "store"))
    return lambda **named: api.fetch(LARGE, world.policy, **named)


def test_a_release_is_given_whatever_it_announces_elsewhere(fetch_large: Callable[..., Path], world: World) -> None:
    assert Manifest.of_directory(fetch_large()) == Manifest.of_directory(world.folder / "large")


def test_a_companion_is_kept_beside_its_release(
    fetch_large: Callable[..., Path], accompanied: Path, no_download: Callable[[], None]
) -> None:
    folder = fetch_large(companion=FORM)
    assert Manifest.of_directory(folder) == Manifest.of_directory(accompanied) and "large-form" in folder.parts
    no_download()
    assert fetch_large(companion=f"hf://{FORM}", trust_cache=True) == folder
    hashed: list[int] = []
    fetch_large(companion=FORM, trust_cache=True, progress=hashed.append)
    assert hashed == []
    flip(folder / "model.gguf", at=1 << 20)
    with pytest.raises(api.FailedReport, match="signed as") as problem:
        fetch_large(companion=FORM, trust_cache=True)
    assert str(folder) in problem.value.mend


def test_a_companion_of_other_bytes_never_appears(
    fetch_large: Callable[..., Path], accompanied: Path, world: World, tmp_path: Path
) -> None:
    blob = world.hub.blob(Manifest.of_directory(accompanied).by_path()["model.gguf"].sha256)
    blob.chmod(0o644)
    flip(blob, at=1 << 20)
    try:
        with pytest.raises(api.FailedReport, match="signed as"):
            fetch_large(companion=FORM)
    finally:
        flip(blob, at=1 << 20)
    assert not any("large-form" in path.name for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert not any(path.name == "model.gguf" for path in (tmp_path / "store").rglob("*"))


def test_what_a_release_does_not_announce_is_not_its_companion(fetch_large: Callable[..., Path]) -> None:
    with pytest.raises(api.InputError, match="announces no org/elsewhere"):
        fetch_large(companion="org/elsewhere")


def test_whoever_asks_for_a_commit_is_told_that_only_the_hub_knows_what_it_holds(world: World) -> None:
    commit = HubClient().refs.tags("org/model")["v1.0.0"]
    for revision, told in (("v1.0.0", False), (commit, True)):
        report = api.verify(f"hf://org/model@{revision}", world.policy)
        (place,) = [check for check in report.checks if check.name == "place"]
        assert report.verdict is api.Verdict.PASS and ("the Hub's word alone" in place.reason) == told
