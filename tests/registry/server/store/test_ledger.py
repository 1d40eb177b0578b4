"""Ledgers: half a line counts for nothing, and any bytes are read."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.hub.client import HubClient
from registry.server.store.ledger import FILE, Ledger
from tests.hub_instance import HubInstance


@pytest.mark.parametrize("cut", [30, 64, 67, 69, 71])
def test_half_a_line_of_a_ledger_counts_for_nothing(tmp_path: Path, cut: int) -> None:
    """Wherever it was cut: the beginning of a size, or of a time, is not one."""
    ledger = Ledger(tmp_path)
    one, two, three = (hashlib.sha256(word).hexdigest() for word in (b"1", b"2", b"3"))
    ledger.append({one: 10})
    with (tmp_path / FILE).open("ab") as stream:
        stream.write(f"{two} 2048 1790000000".encode()[:cut])
    assert ledger.read() == {one: 10}
    ledger.append({three: 20, one: 10})
    assert ledger.read() == {one: 10, three: 20} and set(ledger.entered()) == {one, three}
    ledger.append({two: 2048})
    assert ledger.read() == {one: 10, three: 20, two: 2048}


@given(st.binary(max_size=200))
def test_any_ledger_is_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    (folder / FILE).write_bytes(data)
    ledger = Ledger(folder)
    before = ledger.read()
    ledger.append({"a" * 64: 5})
    assert ledger.read() == {**before, "a" * 64: before.get("a" * 64, 5)}


def test_a_ledger_is_read_on_where_it_ended_and_anew_where_it_was_replaced(tmp_path: Path) -> None:
    ours, others = Ledger(tmp_path), tmp_path / FILE
    one, two, three = ("1" * 64, "2" * 40, "3" * 64)
    ours.append({one: 10, two: 20})
    before = ours.read()
    with others.open("ab") as stream:  # another process, in two writings, perhaps within one tick of the clock
        stream.write(f"{three} 3".encode())
        stream.flush()
        assert ours.read() == {one: 10, two: 20}
        stream.write(f"0 {int(time.time())}\n".encode())
    assert ours.read() == {one: 10, two: 20, three: 30} and ours.blobs() == {one: 10, three: 30}
    assert before == {one: 10, two: 20}  # who holds an answer keeps it

    assert ours.remove({one}) == 10 and ours.read() == {two: 20, three: 30} and ours.blobs() == {three: 30}
    beside = tmp_path / "beside"
    beside.write_text(f"{one} 1\n" * 5)
    beside.replace(others)  # longer, and what it begins with is another line
    assert ours.read() == ours.blobs() == {one: 1}
    others.unlink()
    assert ours.read() == {}


def test_names_in_the_ledger(hub: HubInstance, client: HubClient, repo: str, folder: Path) -> None:
    """A commit's regular files count towards the quota of its namespace."""
    commit_id = client.trees.publish(repo, folder, "Release", client.refs.head(repo))
    ledger = (hub.root / "repos" / "models" / f"{repo}.git" / "contents").read_text().split()
    assert commit_id in ledger and "2560000" in ledger
