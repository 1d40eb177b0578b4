"""Signing in by password, and what somebody does then: tokens, members, the way through a gate. And attacks on that."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from registry.server.access import passwords
from registry.server.access.accounts import Accounts
from registry.server.access.audit_log import AuditLog
from registry.server.access.people import NamespaceRole
from registry.server.pages.signing_in import way
from tests.hub_instance import HubInstance
from tests.registry.server.asking import ask
from tests.registry.server.pages.conftest import write
from tests.registry.server.pages.visitor import Visitor

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    root = tmp_path_factory.mktemp("signing-in")
    with HubInstance.start(root, organizations=("lab",)) as hub:
        accounts = Accounts.of(root)
        for name in ("alice", "bob", "carol"):
            accounts.people.create_user(name)
            accounts.set_password(name, passwords.made(PASSWORD))
        accounts.people.set_role("lab", "alice", NamespaceRole.OWNER)
        write(root, "lab/secret", {"README.md": b"# The plan\n"}, private=True)
        write(root, "lab/gated", {"README.md": b"# Behind the gate\n"})
        HfApi(hub.url, hub.token).update_repo_settings("lab/gated", gated="manual")
        yield hub


@pytest.fixture
def alice(lab: HubInstance) -> Visitor:
    """An owner of lab, who has signed in."""
    made = Visitor(lab)
    assert made.sign_in("alice", PASSWORD) == 303
    return made


def test_a_password_begins_a_session_and_signing_out_ends_it(lab: HubInstance) -> None:
    visitor = Visitor(lab)
    assert visitor.get("/settings") == 303 and visitor.headers["location"] == "/sign-in?to=/settings"
    assert visitor.get("/sign-in?to=/lab/secret") == 200
    before = dict(visitor.cookies)
    assert visitor.send("/sign-in", name="alice", password=PASSWORD, to="/lab/secret") == 303
    assert visitor.headers["location"] == "/lab/secret"
    told = [SimpleCookie(line) for line in visitor.set_cookies if line.startswith("glasshouse=")][-1]["glasshouse"]
    assert told["httponly"] and told["samesite"] == "lax" and len(told.value) == 43
    assert visitor.get("/lab/secret") == 200 and "The plan" in visitor.text
    assert visitor.get("/lab/secret/resolve/main/README.md") == 200 and visitor.headers["cache-control"] == "private"
    assert not {path.name for path in (lab.root / "sessions").iterdir()} & {told.value}
    kept = dict(visitor.cookies)
    assert visitor.send("/sign-out", "/settings") == 303 and "glasshouse" not in visitor.cookies
    visitor.cookies = kept | before
    assert visitor.get("/lab/secret") == 404


def test_over_tls_the_cookie_is_for_this_host_alone(tmp_path: Path) -> None:
    accounts = Accounts.of(tmp_path)
    accounts.people.create_user("alice")
    accounts.set_password("alice", passwords.made(PASSWORD))
    with HubInstance.start(tmp_path, options=("--url", "https://hub.example.org")) as hub:
        visitor = Visitor(hub)
        assert visitor.sign_in("alice", PASSWORD) == 303
        assert set(visitor.cookies) == {"__Host-glasshouse"} and all("Secure" in each for each in visitor.set_cookies)
        visitor.cookies = {"glasshouse": visitor.cookies["__Host-glasshouse"]}
        assert visitor.get("/settings") == 303


@pytest.mark.parametrize(
    ("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("", ""), ("builder", PASSWORD)]
)
def test_what_does_not_go_together_opens_nothing(lab: HubInstance, name: str, password: str) -> None:
    visitor = Visitor(lab)
    assert visitor.sign_in(name, password) == 403 and "do not go together" in visitor.text
    assert "glasshouse" not in visitor.cookies


def test_attempts_are_bounded_for_a_name_and_an_address() -> None:
    from registry.server.problems import Problem

    attempts = passwords.Attempts()
    for _ in range(passwords.NAME_BURST):
        attempts.take("192.0.2.1", "alice")
    with pytest.raises(Problem) as declined:
        attempts.take("192.0.2.2", "Alice")
    assert declined.value.status == 429 and "Retry-After" in declined.value.headers
    for number in range(passwords.ADDRESS_BURST):
        attempts.take("192.0.2.3", f"somebody-{number}")
    with pytest.raises(Problem):
        attempts.take("192.0.2.3", "another")


SLOW = """
import time
from registry.server.access import passwords
passwords.ADDRESS_BURST = 1000
passwords.holds = lambda encoded, password: time.sleep(0.2) or False
"""


def test_readers_do_not_wait_for_those_who_guess(tmp_path: Path) -> None:
    """There are more who wait than threads that answer: each of them held one, whoever else they were needed by."""
    with HubInstance.start(tmp_path / "hub", before=SLOW) as hub, ThreadPoolExecutor(60) as pool:
        visitor = Visitor(hub)
        visitor.get("/sign-in")
        key = unescape(re.findall(r'name="key" value="([^"]*)"', visitor.text)[-1])
        guesses = [
            pool.submit(Visitor(hub, dict(visitor.cookies)).post, "/sign-in", name=f"n{number}", password="x", key=key)
            for number in range(60)
        ]
        time.sleep(0.5)
        started = time.monotonic()
        assert ask(hub, "GET", "/api/models")[0] == 200
        seconds = time.monotonic() - started
        assert not all(guess.done() for guess in guesses)
        assert seconds < 1
        assert {guess.result() for guess in guesses} <= {403, 503}


def test_no_session_is_taken_from_who_brings_one(lab: HubInstance, alice: Visitor) -> None:
    """Session fixation: what a stranger has planted is not what somebody is signed in by."""
    planted = alice.cookies["glasshouse"]
    victim = Visitor(lab, {"glasshouse": planted})
    assert victim.sign_in("bob", PASSWORD) == 303
    assert victim.cookies["glasshouse"] != planted
    assert alice.get("/settings") == 303  # what was planted has ended
    for made_up in ("", "x", "A" * 43, "../tokens.json", "%00"):
        assert Visitor(lab, {"glasshouse": made_up}).get("/settings") == 303


def test_a_token_is_made_by_its_user_shown_once_and_does_what_it_says(lab: HubInstance, alice: Visitor) -> None:
    made = alice.send("/settings/tokens", "/settings", label="<b>ci</b>", role="write", only="lab/one, alice", days="7")
    assert made == 200 and alice.headers["cache-control"] == "no-store"
    token = re.findall(r"hf_[A-Za-z0-9_-]{43}", alice.text)[0]
    alice.get("/settings")
    assert token not in alice.text and "&lt;b&gt;ci&lt;/b&gt;" in alice.text
    for owner, name, status in (("lab", "one", 200), ("lab", "two", 403), ("alice", "mine", 200), ("bob", "his", 403)):
        body = {"name": name, "organization": owner}
        assert ask(lab, "POST", "/api/repos/create", body, token=token)[0] == status
    told = json.loads(ask(lab, "GET", "/api/whoami-v2", token=token)[2])
    assert [org["roleInOrg"] for org in told["orgs"]] == ["admin"]
    scopes = {
        each["entity"]["name"]: each["entity"]["type"] for each in told["auth"]["accessToken"]["fineGrained"]["scoped"]
    }
    assert told["auth"]["accessToken"]["role"] == "fineGrained" and scopes == {"lab/one": "model", "alice": "user"}
    api = HfApi(lab.url, token)
    assert api.whoami()["name"] == "alice"
    assert {each.username for each in api.list_organization_members("lab")} == {"builder", "alice"}
    assert api.get_organization_overview("lab").num_users == 2
    assert [org.name for org in api.get_user_overview("alice").orgs] == ["lab"]
    (row,) = [each for each in Accounts.of(lab.root).tokens.list("alice") if each.expires]
    assert alice.send("/settings/tokens/revoke", "/settings", id=row.id) == 303
    assert ask(lab, "GET", "/api/whoami-v2", token=token)[0] == 401
    events = [(each["event"], each["by"]) for each in AuditLog(lab.root).lines() if each["about"] == f"alice {row.id}"]
    assert events == [("token created", "alice"), ("token revoked", "alice")]


def test_nobody_makes_more_of_a_token_than_they_may(lab: HubInstance, alice: Visitor) -> None:
    wrong = (
        ({"role": "admin", "days": "7"}, 403),
        ({"role": "write", "days": "100000"}, 400),
        ({"role": "write"}, 400),
        ({"role": "owner", "days": "7"}, 400),
    )
    for fields, status in wrong:
        assert alice.send("/settings/tokens", "/settings", **fields) == status
    for only in ("bob", "bob/x", "../x", "lab/one/two"):
        alice.send("/settings/tokens", "/settings", role="read", days="7", only=only)
        assert "hf_" not in alice.text and "banner bad" in alice.text
    bob = Visitor(lab)
    bob.sign_in("bob", PASSWORD)
    mine = Accounts.of(lab.root).tokens.list("builder")[0].id
    assert bob.send("/settings/tokens/revoke", "/settings", id=mine) == 404


def test_no_other_site_can_send_a_form(lab: HubInstance, alice: Visitor) -> None:
    alice.get("/settings")
    key = re.findall(r'name="key" value="([^"]+)"', alice.text)[0]
    fields = {"role": "read", "days": "7"}
    bob = Visitor(lab)
    bob.sign_in("bob", PASSWORD)
    bob.get("/settings")
    other = re.findall(r'name="key" value="([^"]+)"', bob.text)[0]
    for wrong in ({}, {"key": ""}, {"key": "0" * 64}, {"key": other}):
        for path in ("/settings/tokens", "/settings/tokens/revoke", "/settings/password", "/sign-out",
                     "/settings/organisations/lab", "/settings/organisations/lab/remove",
                     "/lab/gated/access"):  # fmt: skip
            assert alice.post(path, **fields, **wrong) == 403
    headers = {"Cookie": f"glasshouse={alice.cookies['glasshouse']}", "Sec-Fetch-Site": "cross-site",
               "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
    body = f"role=read&days=7&key={key}".encode()
    assert ask(lab, "POST", "/settings/tokens", body, headers, token="")[0] == 403
    del headers["Sec-Fetch-Site"]
    assert ask(lab, "POST", "/settings/tokens", body, headers, token="")[0] == 200
    assert ask(lab, "POST", "/settings/tokens", body, token=lab.token)[0] == 400
    assert Visitor(lab).post("/sign-in", name="alice", password=PASSWORD) == 403  # nor a sign-in as somebody else
    for path in ("/api/repos/create", "/lab/gated/ask-access"):  # a session is for pages, not for the protocol
        assert ask(lab, "POST", path, {"name": "x"}, {"Cookie": headers["Cookie"]}, token="")[0] == 401


def test_owners_say_who_the_members_are(lab: HubInstance, alice: Visitor) -> None:
    place = "/settings/organisations/lab"
    assert alice.send(place, place, user="bob", role="read") == 303
    bob = Visitor(lab)
    bob.sign_in("bob", PASSWORD)
    assert bob.get(place) == 200 and bob.send(place, "/settings", user="bob", role="owner") == 403
    assert bob.get("/lab/secret") == 200
    assert alice.send(place, place, user="bob", role="none") == 303
    assert bob.get(place) == 404 and bob.get("/lab/secret") == 404
    assert alice.send(place, place, user="alice", role="none") == 409 and "last owner" in alice.text
    assert alice.send(place, place, user="nobody-here", role="read") == 409
    assert alice.send(place, place, user="bob", role="king") == 400


def test_owners_remove_an_organisation_that_has_no_repositories(lab: HubInstance, alice: Visitor) -> None:
    people = Accounts.of(lab.root).people
    people.set_role("lab", "bob", NamespaceRole.WRITE)
    people.create_organisation("gone", owner="alice")
    place, used = "/settings/organisations/gone", "/settings/organisations/lab"
    bob = Visitor(lab)
    bob.sign_in("bob", PASSWORD)
    assert bob.send(f"{used}/remove", "/settings", name="lab") == 403
    assert bob.send(f"{place}/remove", "/settings", name="gone") == 404
    assert alice.send(f"{used}/remove", used, name="lab") == 409 and "repositories: move them" in alice.text
    assert alice.send(f"{place}/remove", place, name="lab") == 400 and "Write gone to remove it" in alice.text
    assert alice.send(f"{place}/remove", place, name="gone") == 303
    assert alice.get(place) == 404 and people.read().organisation("gone") is None
    people.set_role("lab", "bob", None)


def test_a_new_password_ends_the_other_sessions(lab: HubInstance) -> None:
    here, there = Visitor(lab), Visitor(lab)
    for each in (here, there):
        assert each.sign_in("carol", PASSWORD) == 303
    assert here.send("/settings/password", "/settings", old="wrong", new=PASSWORD * 2) == 403
    assert here.send("/settings/password", "/settings", old=PASSWORD, new="short") == 400
    assert here.send("/settings/password", "/settings", old=PASSWORD, new=PASSWORD * 2) == 303
    assert here.get("/settings") == 200 and there.get("/settings") == 303
    assert Visitor(lab).sign_in("carol", PASSWORD) == 403
    Accounts.of(lab.root).remove("carol")
    assert here.get("/settings") == 303 and Visitor(lab).sign_in("carol", PASSWORD * 2) == 403


def test_a_gate_has_a_button_for_who_signed_in_and_a_page_for_who_answers(lab: HubInstance, alice: Visitor) -> None:
    visitor = Visitor(lab)
    assert visitor.get("/lab/gated") == 403 and "/sign-in?to=%2Flab%2Fgated" in visitor.text
    assert "www-authenticate" not in visitor.headers and "Behind the gate" not in visitor.text
    visitor.sign_in("bob", PASSWORD)
    assert visitor.send("/lab/gated/access", "/lab/gated") == 303
    assert visitor.get("/lab/gated") == 403 and "You have asked" in visitor.text
    place = "/lab/gated/requests"
    assert visitor.send(place, "/settings", user="bob", status="accepted") == 403 and visitor.get(place) == 403
    assert Visitor(lab).get(place) == 303
    assert alice.get("/lab/gated") == 200 and f'href="{place}">1 wait' in alice.text
    assert alice.get(place) == 200 and 'aria-label="Accept bob"' in alice.text
    assert alice.post(place, user="bob", status="accepted") == 403  # without the form's key
    assert alice.send(place, place, user="bob", status="king") == 400
    assert alice.send(place, place, user="carol", status="accepted") == 404
    assert alice.send(place, place, user="bob", status="accepted") == 303
    assert visitor.get("/lab/gated") == 200 and "Behind the gate" in visitor.text and place not in visitor.text
    assert alice.send(place, place, user="bob", status="rejected") == 303
    assert visitor.get("/lab/gated") == 403 and "were not let in" in visitor.text
    assert alice.get("/lab/secret/requests") == 404  # it has no gate
    events = [row["event"] for row in AuditLog(lab.root).lines()]
    assert events.count("access accepted") == 1 == events.count("access rejected")


@pytest.mark.parametrize(
    "to", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\nb", "evil", "/a?b", "/@x:"]
)
def test_who_has_signed_in_stays_on_this_server(to: str) -> None:
    assert way(to) == "/settings" and way("/lab/model/tree/v1.0.0") == "/lab/model/tree/v1.0.0"
