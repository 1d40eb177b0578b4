"""Tokens: what is stored of them, how long they live, and the command that makes them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InputError
from registry.server.access.tokens import Role, TokenStore, User

COMMAND = Path(sys.executable).parent / "glasshouse"


def test_tokens_live_until_they_are_revoked(tmp_path: Path) -> None:
    store, worker = TokenStore(tmp_path), TokenStore(tmp_path)
    made, token = store.create("ci", Role.WRITE, ("lab",))
    assert worker.user(token) == User("ci", ("lab",), Role.WRITE)
    assert token not in (tmp_path / "tokens.json").read_text()
    _, other = store.create("guest", Role.READ)
    assert worker.user(other) == User("guest", (), Role.READ)
    assert store.revoke(made.id).name == "ci"
    assert worker.user(token) is None and worker.user(other) is not None
    with pytest.raises(InputError, match="no token"):
        store.revoke(made.id)


def test_tokens_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TokenStore(tmp_path)
    _, token = store.create("ci", Role.WRITE, seconds=60)
    assert store.user(token) is not None
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert store.user(token) is None


@pytest.mark.parametrize("name", ["", "../x", "a b", "a--b", "x" * 97])
def test_names_are_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        TokenStore(tmp_path).create(name, Role.READ)
    with pytest.raises(InputError):
        TokenStore(tmp_path).create("ci", Role.READ, (name,))


@given(st.binary(max_size=80))
def test_any_file_of_tokens_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "any-tokens"
    root.mkdir(exist_ok=True)
    (root / "tokens.json").write_bytes(data)
    try:
        assert TokenStore(root).user("a-token") is None
    except InputError:
        return


def test_the_command_makes_lists_and_revokes(tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        done = subprocess.run([COMMAND, "token", *words, "--root", tmp_path, "--json"], capture_output=True, check=True)
        return json.loads(done.stdout)

    made = run("create", "ci", "--role", "read", "--namespace", "lab", "--days", "3")
    assert TokenStore(tmp_path).user(made["token"]) == User("ci", ("lab",), Role.READ)
    (row,) = run("list")
    assert (row["id"], row["sha256"], row["namespaces"]) == (made["id"], None, ["lab"])
    assert run("revoke", made["id"])["name"] == "ci"
    assert run("list") == []
