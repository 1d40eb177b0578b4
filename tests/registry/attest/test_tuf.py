"""A private instance, trusted by its TUF repository: fetched, checked, and then good without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry import canonical
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.sigstore.tuf import trust_config
from registry.attest.verifier import Verifier
from registry.digest import sha256_bytes
from registry.errors import GlasshouseError, InputError, SignatureError, Unavailable
from tests.registry.attest.conftest import MAINTAINER, POLICY, STATEMENT
from tests.sigstore_instance import SigstoreInstance
from tests.sigstore_instance.tuf import TufRepository

GLASSHOUSE, STOCK = (str(Path(sys.executable).with_name(name)) for name in ("glasshouse", "sigstore"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[SigstoreInstance, TufRepository]]:
    """An instance of its own, and its repository."""
    with SigstoreInstance.start(tmp_path / "instance") as running:
        yield running, running.publish_tuf()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where what was seen is kept."""
    return tmp_path / "cache"


def test_what_is_fetched_signs_and_verifies_when_the_instance_is_gone(tmp_path: Path, cache: Path) -> None:
    config = tmp_path / "sigstore.json"
    with SigstoreInstance.start(tmp_path / "instance") as instance:
        root = instance.publish_tuf().root_path
        config.write_bytes(trust_config(instance.tuf_url, root, cache=cache))
        assert canonical.read(config) == canonical.read(instance.trust_config_path)
        bundle = SigstoreSigner(config, identity_token=instance.token(MAINTAINER)).sign(STATEMENT)
    assert Verifier(POLICY, config).verify(bundle).statement == STATEMENT
    with pytest.raises(Unavailable, match="does not answer"):
        trust_config(instance.tuf_url, root, cache=cache)


def test_the_root_is_needed_once_and_kept_in_our_own_cache(
    served: tuple[SigstoreInstance, TufRepository], tmp_path: Path
) -> None:
    instance, repository = served
    environment = {**os.environ, **{f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("CACHE", "DATA", "CONFIG")}}

    def fetch(*words: str) -> subprocess.CompletedProcess[str]:
        command = [GLASSHOUSE, "trust", "fetch", instance.tuf_url, "--output", str(tmp_path / "out.json"), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    refused = fetch()
    assert refused.returncode == 2 and "--root FILE" in refused.stderr and not (tmp_path / "out.json").exists()
    first = fetch("--root", str(repository.root_path), "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["sha256"] == sha256_bytes((tmp_path / "out.json").read_bytes())
    assert fetch().returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"instance", "CACHE", "out.json"}
    assert [path.name for path in (tmp_path / "CACHE").iterdir()] == ["glasshouse"]


def test_the_stock_client_accepts_the_same_repository(
    served: tuple[SigstoreInstance, TufRepository], tmp_path: Path
) -> None:
    instance, repository = served
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [STOCK, "--instance", instance.tuf_url, "trust-instance", str(repository.root_path)]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def test_a_new_root_is_followed_if_the_old_one_vouches_for_it(
    served: tuple[SigstoreInstance, TufRepository], cache: Path
) -> None:
    instance, repository = served
    trust_config(instance.tuf_url, repository.root_path, cache=cache)
    repository.rotate()
    instance.publish_tuf()
    assert trust_config(instance.tuf_url, cache=cache)
    assert trust_config(instance.tuf_url, repository.root_path, cache=cache.with_name("another"))


def test_another_instance_s_root_is_no_root_of_this_one(
    served: tuple[SigstoreInstance, TufRepository], tmp_path: Path, cache: Path
) -> None:
    other = TufRepository(tmp_path / "other", tmp_path / "keys")
    with pytest.raises(SignatureError, match="does not hold, by the root in"):
        trust_config(served[0].tuf_url, other.root_path, cache=cache)
    assert not list(cache.rglob("trusted_root.json"))


def test_what_is_out_of_date_is_refused(served: tuple[SigstoreInstance, TufRepository], cache: Path) -> None:
    instance, repository = served
    repository.publish({}, lifetime=timedelta(seconds=-1))
    with pytest.raises(SignatureError, match="out of date"):
        trust_config(instance.tuf_url, repository.root_path, cache=cache)


def test_a_repository_of_something_else_is_no_instance(
    served: tuple[SigstoreInstance, TufRepository], cache: Path
) -> None:
    instance, repository = served
    for targets, reason in (
        ({}, "it has no trusted_root.json"),
        ({"trusted_root.json": b"{}", "signing_config.v0.2.json": b"{}"}, "does not serve a trust config"),
        ({"trusted_root.json": b'{"a":1,"a":2}', "signing_config.v0.2.json": b"{}"}, "twice"),
        ({"trusted_root.json": b" " * (5 << 20)}, "more than the"),
    ):
        repository.publish(targets)
        with pytest.raises(SignatureError, match=reason):
            trust_config(instance.tuf_url, repository.root_path, cache=cache)


def test_nothing_older_than_what_was_seen_is_accepted(
    served: tuple[SigstoreInstance, TufRepository], cache: Path
) -> None:
    instance, repository = served
    old = (repository.folder / "timestamp.json").read_bytes()
    instance.publish_tuf()
    trust_config(instance.tuf_url, repository.root_path, cache=cache)
    (repository.folder / "timestamp.json").write_bytes(old)
    with pytest.raises(SignatureError, match="does not hold, by the root that was trusted before"):
        trust_config(instance.tuf_url, cache=cache)


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json", "targets/*.trusted_root.json"])
def test_a_byte_that_was_changed_is_seen(
    served: tuple[SigstoreInstance, TufRepository], cache: Path, name: str
) -> None:
    instance, repository = served
    (path,) = repository.folder.glob(name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises((SignatureError, Unavailable)):
        trust_config(instance.tuf_url, repository.root_path, cache=cache)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"signed":{},"signatures":[]}', b"\xff" * 10, b"[" * 1000])
def test_a_root_that_is_none_is_refused(
    served: tuple[SigstoreInstance, TufRepository], tmp_path: Path, cache: Path, content: bytes
) -> None:
    (tmp_path / "root.json").write_bytes(content)
    with pytest.raises((InputError, SignatureError)):
        trust_config(served[0].tuf_url, tmp_path / "root.json", cache=cache)


@pytest.mark.parametrize("url", ["", "tuf.example", "file:///etc", "ftp://tuf.example"])
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the address"):
        trust_config(url, tmp_path / "root.json", cache=tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(data=st.data(), noise=st.binary(max_size=40))
def test_nothing_but_our_errors_comes_of_a_hostile_root(
    served: tuple[SigstoreInstance, TufRepository], tmp_path: Path, cache: Path, data: st.DataObject, noise: bytes
) -> None:
    instance, repository = served
    root: Any = bytearray(repository.root_path.read_bytes())
    place = data.draw(st.integers(0, len(root)))
    root[place : place + len(noise)] = noise
    (tmp_path / "root.json").write_bytes(root)
    try:
        trust_config(instance.tuf_url, tmp_path / "root.json", cache=cache)
    except GlasshouseError as problem:
        assert problem.mend
