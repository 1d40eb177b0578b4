"""Ledgers: half a line counts for nothing, and any bytes are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.hub.client import HubClient
from registry.server.store.ledger import FILE, Ledger
from tests.hub_instance import HubInstance


def test_half_a_line_of_a_ledger_counts_for_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    one, two = (hashlib.sha256(word).hexdigest() for word in (b"1", b"2"))
    ledger.append({one: 10})
    with (tmp_path / FILE).open("ab") as stream:
        stream.write(two.encode()[:30])
    assert ledger.read() == {one: 10}
    ledger.append({two: 20, one: 10})
    assert ledger.read() == {one: 10, two: 20}


@given(st.binary(max_size=200))
def test_any_ledger_is_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    (folder / FILE).write_bytes(data)
    ledger = Ledger(folder)
    before = ledger.read()
    ledger.append({"a" * 64: 5})
    assert ledger.read() == {**before, "a" * 64: before.get("a" * 64, 5)}


def test_names_in_the_ledger(hub: HubInstance, client: HubClient, repo: str, folder: Path) -> None:
    """A commit's regular files count towards the quota of its namespace."""
    commit_id = client.trees.publish(repo, folder, "Release", client.refs.head(repo))
    ledger = (hub.root / "repos" / "models" / f"{repo}.git" / "contents").read_text().split()
    assert commit_id in ledger and "2560000" in ledger
