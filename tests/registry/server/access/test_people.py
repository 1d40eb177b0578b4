"""Users, organisations and their members: names are given once, an organisation keeps an owner."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import canonical
from registry.cli import main
from registry.errors import InputError, Refused
from registry.server import format as folder_format
from registry.server.access import publishers, rights, takeover
from registry.server.access.accounts import Accounts
from registry.server.access.audit_log import AuditLog
from registry.server.access.people import NamespaceRole, PeopleStore, ProvidedIdentity
from registry.server.access.publishers import Publisher
from registry.server.access.rights import Right, User
from registry.server.access.tokens import Role, TokenStore
from registry.server.names import RepoName
from registry.server.problems import Problem
from registry.server.state import Hub
from registry.server.store.repository import Repository
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask

COMMAND = [str(Path(sys.executable).parent / "glasshouse"), "hub"]


def test_a_name_is_given_once_in_any_case(tmp_path: Path) -> None:
    store = PeopleStore(tmp_path)
    store.create_user("alice")
    store.create_organisation("Lab", "alice")
    store.create_user("bob")
    store.remove_user("bob")
    for name in ("Alice", "lab", "BOB"):
        with pytest.raises(Refused, match="is given"):
            store.create_user(name)
        with pytest.raises(Refused, match="is given"):
            store.create_organisation(name, "alice")
    for nobody in ("bob", "carol"):
        with pytest.raises(InputError, match="nobody"):
            store.create_organisation("other", nobody)
        with pytest.raises(InputError, match="nobody"):
            store.set_role("Lab", nobody, NamespaceRole.READ)


def test_an_organisation_keeps_an_owner(tmp_path: Path) -> None:
    store = PeopleStore(tmp_path)
    for name in ("alice", "bob"):
        store.create_user(name)
    store.create_organisation("lab", "alice")
    for change in (NamespaceRole.WRITE, None):
        with pytest.raises(Refused, match="last owner"):
            store.set_role("lab", "alice", change)
    with pytest.raises(Refused, match="last owner"):
        store.remove_user("alice")
    store.set_role("lab", "bob", NamespaceRole.OWNER)
    store.remove_user("alice")
    assert store.read().roles("bob") == {"lab": NamespaceRole.OWNER}
    assert store.read().organisation("lab") and store.read().roles("alice") == {}
    assert [row["event"] for row in AuditLog(tmp_path).lines()] == [
        "user created", "user created", "organisation created", "role given", "user removed",
    ]  # fmt: skip


def test_who_is_removed_takes_along_what_was_theirs(tmp_path: Path) -> None:
    """An organisation goes once it has no repository; of both, tokens, roles and trusted publishers go."""
    accounts = Accounts.of(tmp_path)
    for name in ("alice", "bob"):
        accounts.people.create_user(name)
    accounts.people.create_organisation("lab", "bob")
    accounts.people.set_role("lab", "alice", NamespaceRole.WRITE)
    subject = "repo:alice/model:ref:refs/heads/main"
    for repo in ("alice/model", "lab/model", "datasets/alice/data", "bob/model"):
        issuer = "https://token.actions.githubusercontent.com"
        publishers.trust(tmp_path, Publisher(issuer=issuer, subject=subject, audience="https://hub", repo=repo))
    secrets = [accounts.tokens.create("alice", Role.WRITE)[1]]
    secrets += [accounts.tokens.create(name, Role.WRITE, workflow=subject)[1] for name in ("alice", "lab")]
    there = RepoName("models", "lab", "model")
    assert Repository.create(tmp_path / "repos", there, "bob", {"a": b"x"})
    with pytest.raises(Refused, match="lab has 1 repositories"):
        accounts.remove_organisation("lab")
    accounts.remove("alice")
    assert accounts.people.read().roles("alice") == {} and [*map(accounts.holder, secrets[:2])] == [None, None]
    assert [each.repo for each in publishers.listed(tmp_path)] == ["lab/model", "bob/model"]
    assert accounts.holder(secrets[2]) is not None
    Repository.open(tmp_path / "repos", there).delete(tmp_path / "repos", "bob", released=True)
    accounts.remove_organisation("lab", by="bob")
    assert accounts.holder(secrets[2]) is None and accounts.people.read().roles("bob") == {}
    assert [each.repo for each in publishers.listed(tmp_path)] == ["bob/model"]
    with pytest.raises(InputError, match="no organisation"):
        accounts.remove_organisation("lab")
    with pytest.raises(Refused, match="is given, or was"):
        accounts.people.create_organisation("Lab", "bob")


def test_an_owner_removes_an_organisation_by_the_api(hub: HubInstance) -> None:
    owner, member = hub.user("removing-owner", Role.WRITE), hub.user("removing-member", Role.WRITE)
    people = Accounts.of(hub.root).people
    people.create_organisation("leaving", "removing-owner")
    people.set_role("leaving", "removing-member", NamespaceRole.WRITE)
    only = hub.user("removing-owner", Role.WRITE, only=("leaving",))
    reader = hub.user("removing-owner", Role.READ)
    place, new = "/api/organizations/leaving", {"name": "a", "organization": "leaving"}
    assert [ask(hub, "DELETE", place, token=each)[0] for each in ("", member, only, reader)] == [401, 403, 403, 403]
    assert ask(hub, "POST", "/api/repos/create", new, token=owner)[0] == 200
    status, _, said = ask(hub, "DELETE", place, token=owner)
    assert status == 409 and b"1 repositories" in said
    moved = {"fromRepo": "leaving/a", "toRepo": "removing-owner/a"}
    assert ask(hub, "POST", "/api/repos/move", moved, token=owner)[0] == 200
    assert ask(hub, "DELETE", place, token=owner)[0] == 200
    assert ask(hub, "GET", f"{place}/overview", token=owner)[0] == 404
    assert ask(hub, "POST", "/api/repos/create", new, token=owner)[0] == 403


def test_an_identity_is_one_user_s(tmp_path: Path) -> None:
    store, whose = PeopleStore(tmp_path), ProvidedIdentity(issuer="https://id.example.org", subject="17")
    store.create_user("alice", identity=whose)
    with pytest.raises(Refused, match="signs in as somebody"):
        store.create_user("bob", identity=whose)
    store.create_user("bob")
    with pytest.raises(Refused, match="signs in as somebody"):
        store.change_user("bob", event="user bound", identity=whose)
    found = store.bound_to(whose)
    assert found is not None and found.name == "alice"
    assert store.bound_to(ProvidedIdentity(issuer="https://id.example.com", subject="17")) is None
    store.remove_user("alice")
    assert store.bound_to(whose) is None


def old(name: str, role: str, *namespaces: str, repo: str | None = None) -> dict[str, Any]:
    digest = TokenStore.__module__.encode().hex()[:8] + canonical.dumps([name, role, *namespaces]).hex()
    return {"id": digest[-12:].rjust(12, "0"), "name": name, "sha256": digest[:64].rjust(64, "0"), "role": role,
            "namespaces": list(namespaces), "repo": repo, "created": 1, "expires": None}  # fmt: skip


def write_old(root: Path, rows: list[dict[str, Any]]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "tokens.json").write_bytes(canonical.dumps({"schema": takeover.OLD, "tokens": rows}))


def test_tokens_of_before_are_taken_over(tmp_path: Path) -> None:
    write_old(tmp_path, [old("ci", "write", "lab"), old("ci", "read", "secret"), old("root", "admin"),
                         old("bob", "read", "lab"), old("lab", "write", repo="lab/model")])  # fmt: skip
    folder_format.settle(tmp_path)
    once = {name: (tmp_path / name).read_bytes() for name in ("tokens.json", "people.json")}
    takeover.take_over(tmp_path)
    assert once == {name: (tmp_path / name).read_bytes() for name in once}
    accounts = Accounts.of(tmp_path)
    people = accounts.people.read()
    assert [(each.name, each.admin) for each in people.users] == [("ci", False), ("root", True), ("bob", False)]
    assert people.roles("ci") == {"lab": NamespaceRole.WRITE, "secret": NamespaceRole.READ}
    assert people.roles("bob") == {"lab": NamespaceRole.READ}
    only = [each.only for each in accounts.tokens.list()]
    assert only == [("ci", "lab"), ("ci", "secret"), None, None, ("lab/model",)]
    assert folder_format.version(tmp_path) == 2


NAMES = st.sampled_from(["a", "b", "c"])
OLD = st.builds(
    lambda name, role, more: old(name, role, *sorted(more)), NAMES, st.sampled_from(list(Role)), st.sets(NAMES)
)


@given(st.lists(OLD, max_size=5))
def test_no_token_does_more_or_less_than_before(rows: list[dict[str, Any]]) -> None:
    """Less in one way: where its user is a member of more, it proposes changes only where it is for.

    More in another: it deletes in its user's own namespace, as every owner's does.
    """
    held = tuple(takeover._OldToken.from_json(row, name="x") for row in rows)
    people = takeover.people_of(held, 0)
    for before in held:
        token = takeover._token(before, people)
        account = people.user(token.name)
        assert account is not None and (token.role is not Role.ADMIN or account.admin)
        user = rights.User(token.name, people.roles(token.name), token.role, token.only)
        for owner in ("a", "b", "c"):
            reads = before.role is Role.ADMIN or owner in (before.name, *before.namespaces)
            name = RepoName("models", owner, "model")
            assert rights.may(user, Right.READ, name) == reads
            assert rights.may(user, Right.WRITE, name) == (reads and before.role is not Role.READ)
            own = owner == before.name and before.role is Role.WRITE
            assert rights.may(user, Right.DELETE, name) == (own or before.role is Role.ADMIN)


@given(st.binary(max_size=80))
def test_any_file_of_people_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "any-people"
    root.mkdir(exist_ok=True)
    for name in ("people.json", "tokens.json"):
        (root / name).write_bytes(data)
    for read in (PeopleStore(root).read, lambda: takeover.take_over(root)):
        try:
            read()
        except InputError:
            continue
    assert (root / "tokens.json").read_bytes() == data


def test_the_command_makes_users_and_organisations(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str, given: str = "", code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["glasshouse", "hub", *words, "--root", str(tmp_path / "hub")])
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        with pytest.raises(SystemExit) as ended:
            main()
        told = capfd.readouterr()
        assert (ended.value.code or 0) == code, told.err
        return told.out if code == 0 else told.err

    command = [*COMMAND, "user", "create", "alice", "--root", str(tmp_path / "hub")]
    subprocess.run(command, capture_output=True, check=True)
    run("user", "create", "bob", "--admin")
    run("org", "create", "lab", "--owner", "alice")
    run("org", "member", "lab", "bob", "--role", "write")
    assert "last owner" in run("org", "member", "lab", "alice", "--role", "none", code=2)
    assert "12 characters" in run("user", "password", "alice", given="short\n", code=2)
    run("user", "password", "alice", given="correct horse battery\n")
    run("user", "change", "bob", "--no-admin")
    alice, bob = json.loads(run("user", "list", "--json"))
    assert (alice["password"], alice["roles"], bob["admin"]) == (True, {"lab": "owner"}, False)
    assert "correct" not in (tmp_path / "hub" / "people.json").read_text()
    assert run("org", "list").strip() == "lab  alice (owner), bob (write)"
    run("user", "remove", "bob")
    run("org", "create", "spare", "--owner", "alice")
    run("org", "remove", "spare")
    assert "spare" not in run("org", "list") and "no organisation" in run("org", "remove", "spare", code=2)
    assert "alice  owner in lab  signs in by password" in run("user", "list")


def test_no_repository_is_left_without_its_organisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is removed while a repository of it is made, copied, or moved there: one of the two is refused."""
    hub = Hub.open(tmp_path)
    hub.accounts.people.create_user("alice")
    name, free = RepoName("models", "alice", "one"), Repository.is_free
    assert hub.create(name, User("alice"), private=False)
    one = Repository.open(hub.repositories, name)

    def removed_meanwhile(root: Path, wanted: RepoName) -> bool:
        found = free(root, wanted)
        if hub.accounts.people.read().organisation(wanted.owner) is not None:
            hub.accounts.remove_organisation(wanted.owner)
        return found

    work: dict[str, Callable[[User, RepoName], bool]] = {
        "made": lambda user, new: hub.create(new, user, private=False),
        "copied": lambda user, new: hub.duplicate(one, user, new, private=False),
        "moved": lambda user, new: hub.move(one, user, new),
    }
    for owner, done in work.items():
        hub.accounts.people.create_organisation(owner, "alice")
        with monkeypatch.context() as patch:
            patch.setattr(Repository, "is_free", staticmethod(removed_meanwhile))
            with pytest.raises(Problem, match="was removed"):
                done(User("alice", {owner: NamespaceRole.OWNER}), RepoName("models", owner, "one"))
        assert not list((hub.repositories / "models" / owner).glob("*.git"))
    assert Repository.open(hub.repositories, name).folder == one.folder
