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
from registry.server.access import kept, rights, tokens
from registry.server.access.accounts import Accounts
from registry.server.access.people import NamespaceRole
from registry.server.access.rights import Right, User
from registry.server.access.tokens import Role, TokenStore
from registry.server.names import RepoName

COMMAND = Path(sys.executable).parent / "glasshouse"


def test_tokens_live_until_they_are_revoked(tmp_path: Path) -> None:
    here, worker = Accounts.of(tmp_path), Accounts.of(tmp_path)
    made, token = here.issue("ci", Role.WRITE, ("lab",))
    assert worker.holder(token) == User("ci", {"lab": NamespaceRole.WRITE}, Role.WRITE)
    assert token not in (tmp_path / "tokens.json").read_text()
    _, other = here.issue("guest", Role.READ)
    assert worker.holder(other) == User("guest", {}, Role.READ)
    with pytest.raises(InputError, match="no token"):
        here.tokens.revoke(made.id, of="guest")
    assert here.tokens.revoke(made.id).name == "ci"
    assert worker.holder(token) is None and worker.holder(other) is not None
    with pytest.raises(InputError, match="no token"):
        here.tokens.revoke(made.id)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("tokens.json", "people.json")} == {0o600}


def test_tokens_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Accounts.of(tmp_path)
    _, token = here.issue("ci", Role.WRITE, seconds=60)
    assert here.holder(token) is not None
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert here.holder(token) is None


def test_a_token_never_does_more_than_its_user_may_now(tmp_path: Path) -> None:
    here, lab = Accounts.of(tmp_path), RepoName("models", "lab", "one")
    _, token = here.issue("alice", Role.ADMIN, ("lab",))
    _, limited = here.issue("alice", Role.WRITE, only=("lab/two", "datasets/lab/one"))

    def may(secret: str, right: Right, name: RepoName = lab) -> bool:
        return rights.may(here.holder(secret), right, name)

    assert may(token, Right.DELETE) and may(token, Right.WRITE, RepoName("models", "other", "one"))
    assert not may(limited, Right.READ) and may(limited, Right.WRITE, RepoName("datasets", "lab", "one"))
    here.people.change_user("alice", event="user changed", admin=False)
    assert may(token, Right.WRITE) and not may(token, Right.DELETE)
    here.people.set_role("lab", "alice", NamespaceRole.READ)
    assert may(token, Right.READ) and not may(token, Right.WRITE)
    here.people.set_role("lab", "alice", None)
    assert not may(token, Right.READ) and not may(limited, Right.READ, RepoName("models", "lab", "two"))
    here.remove("alice")
    assert here.holder(token) is None and here.tokens.list() == ()


def test_a_user_has_a_bounded_number_of_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_OF_ONE", 2)
    here = Accounts.of(tmp_path)
    for name in ("a", "a", "b"):
        here.issue(name, Role.READ)
    with pytest.raises(InputError, match="has 2 tokens"):
        here.issue("a", Role.READ)


@pytest.mark.parametrize("name", ["", "../x", "a b", "a--b", "x" * 97, "settings"])
def test_names_are_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        Accounts.of(tmp_path).issue(name, Role.READ)
    with pytest.raises(InputError):
        Accounts.of(tmp_path).issue("ci", Role.READ, (name,))


@pytest.mark.parametrize("place", ["", "/", "lab/", "a/b/c", "models/a/b", "../x", "a b", "lab/*"])
def test_what_a_token_is_for_is_a_namespace_or_a_repository(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError, match="namespace"):
        Accounts.of(tmp_path).issue("ci", Role.READ, only=(place,))


@given(st.binary(max_size=80))
def test_any_file_of_tokens_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "any-tokens"
    root.mkdir(exist_ok=True)
    (root / "tokens.json").write_bytes(data)
    try:
        assert TokenStore(root).find("a-token") is None
    except InputError:
        return


def test_the_command_makes_lists_and_revokes(tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        done = subprocess.run([COMMAND, "token", *words, "--root", tmp_path, "--json"], capture_output=True, check=True)
        return json.loads(done.stdout)

    made = run("create", "ci", "--role", "read", "--namespace", "lab", "--days", "3", "--only", "lab/model")
    held = Accounts.of(tmp_path).holder(made["token"])
    assert held == User("ci", {"lab": NamespaceRole.READ}, Role.READ, ("lab/model",))
    (row,) = run("list")
    assert (row["id"], row["sha256"], row["only"]) == (made["id"], None, ["lab/model"])
    assert run("revoke", made["id"])["name"] == "ci"
    assert run("list") == []


def test_nobody_fills_the_file_of_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read whole, or nobody is known: a user, or a workflow, has a small part of it."""
    here = Accounts.of(tmp_path)
    _, token = here.issue("lab", Role.WRITE)
    places = tuple(f"lab/{number}" for number in range(50))
    for _ in range(4):
        here.tokens.create("lab", Role.WRITE, only=places)
    with pytest.raises(InputError, match="more than 200 places"):
        here.tokens.create("lab", Role.WRITE, only=("lab",))
    monkeypatch.setattr(tokens, "MAX_OF_ONE", 7)
    for _ in range(7):
        here.tokens.create("lab", Role.WRITE, only=("lab/one",), workflow="a workflow", seconds=60)
    with pytest.raises(InputError, match="a workflow has 7 tokens"):
        here.tokens.create("lab", Role.WRITE, only=("lab/one",), workflow="a workflow", seconds=60)
    here.tokens.create("lab", Role.WRITE)
    monkeypatch.setattr(kept, "MAX_BYTES", (tmp_path / "tokens.json").stat().st_size)
    with pytest.raises(InputError, match=r"tokens.json would have more"):
        here.issue("guest", Role.WRITE)
    assert Accounts.of(tmp_path).holder(token) is not None
