"""The whole way in a server that runs, at a provider of somebody else that runs, too."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry import canonical
from registry.server.access import passwords
from registry.server.access.accounts import Accounts
from tests import oidc_provider
from tests.hub_instance import HubInstance
from tests.registry.server.pages.conftest import write
from tests.registry.server.pages.visitor import Visitor

COMMAND = [str(Path(sys.executable).parent / "glasshouse"), "hub", "user"]
NAMES = {"17": "dora", "18": "alice", "19": "left-over", "20": "../x", "21": "Lab"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    folder = tmp_path_factory.mktemp("provider")
    with (
        oidc_provider.start(folder / "provider.log", **NAMES) as issuer,
        HubInstance.start(folder / "hub", organizations=("lab",)) as hub,
    ):
        named = {"schema": "glasshouse.oidc/v1", "issuer": issuer, "clientId": "glasshouse", "clientSecret": "secret",
                 "name": "Example", "newcomers": True}  # fmt: skip
        (hub.root / "oidc.json").write_bytes(canonical.dumps(named))
        Accounts.of(hub.root).people.create_user("alice")
        write(hub.root, "left-over/model", {"README.md": b"# Of before\n"}, private=True)
        yield hub


def come_back(visitor: Visitor, subject: str) -> int:
    assert visitor.get("/sign-in/provider") == 303
    back = oidc_provider.sign_in(visitor.headers["location"], subject)
    return visitor.get(back.removeprefix(visitor.hub.url))


def test_a_newcomer_becomes_a_user_and_is_the_same_the_next_time(lab: HubInstance) -> None:
    visitor = Visitor(lab)
    assert visitor.get("/sign-in") == 200 and "Sign in at Example" in visitor.text and "password" not in visitor.text
    for _ in range(2):
        assert come_back(visitor, "17") == 303 and visitor.headers["location"] == "/settings"
        assert visitor.get("/settings") == 200 and "dora" in visitor.text
    users = [each.name for each in Accounts.of(lab.root).people.read().users]
    assert users.count("dora") == 1 and visitor.send("/sign-out", "/settings") == 303
    assert visitor.get("/settings") == 303


@pytest.mark.parametrize("subject", ["18", "19", "20", "21"])
def test_a_name_that_is_somebody_s_is_not_got_by_being_called_so(lab: HubInstance, subject: str) -> None:
    """A user's, one whose repositories are left, none that can be, an organisation's in another case."""
    visitor = Visitor(lab)
    assert come_back(visitor, subject) == 403 and "glasshouse" not in visitor.cookies
    assert f"as {subject}" in visitor.text


def test_an_operator_says_who_is_who(lab: HubInstance) -> None:
    subprocess.run([*COMMAND, "bind", "alice", "--root", str(lab.root), "--subject", "18"], check=True)
    visitor = Visitor(lab)
    assert come_back(visitor, "18") == 303
    assert visitor.get("/settings") == 200 and "alice" in visitor.text
    listed = subprocess.run([*COMMAND, "list", "--root", str(lab.root), "--json"], capture_output=True, check=True)
    assert [each["identity"]["subject"] for each in json.loads(listed.stdout) if each["name"] == "alice"] == ["18"]
    Accounts.of(lab.root).remove("alice")
    assert visitor.get("/settings") == 303 and come_back(visitor, "18") == 403


def test_where_there_is_a_provider_no_password_counts(lab: HubInstance) -> None:
    accounts, visitor = Accounts.of(lab.root), Visitor(lab)
    accounts.set_password("builder", passwords.made("correct horse battery"))
    assert visitor.sign_in("builder", "correct horse battery") == 403
    assert "glasshouse" not in visitor.cookies


def test_a_way_back_is_for_the_browser_that_went(lab: HubInstance) -> None:
    here, there = Visitor(lab), Visitor(lab)
    here.get("/sign-in/provider")
    back = oidc_provider.sign_in(here.headers["location"], "17").removeprefix(lab.url)
    assert there.get(back) == 403
    there.get("/sign-in/provider")
    assert there.get(back) == 403
    assert here.get(back) == 303 and here.get(back) == 403  # a code is good once


def test_whoever_is_not_known_stays_out_where_newcomers_are_not_taken(lab: HubInstance) -> None:
    path = lab.root / "oidc.json"
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"newcomers":true', b'"newcomers":false'))
    try:
        assert come_back(Visitor(lab), "22") == 403 and come_back(Visitor(lab), "17") == 303
    finally:
        path.write_bytes(before)
