"""Signing in at a provider, and providers that lie: every check of the way back, one by one."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from registry.errors import InputError
from registry.server.access import issuers, provider
from registry.server.access.auth import Links
from registry.server.access.provider import Journey, Provider
from registry.server.problems import Problem
from tests.oidc_issuer import Issuer

BACK = "https://hub.example.org/sign-in/back"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    monkeypatch.setattr(provider, "_KEYS", issuers.Keys())
    with Issuer.start() as made:
        yield made


@pytest.fixture
def journey(issuer: Issuer, tmp_path: Path) -> Journey:
    named = Provider(issuer=issuer.url, client_id="glass house", client_secret="s:cret", newcomers=True)
    return Journey(named, Links(tmp_path), "a-visit", BACK)


def asked(journey: Journey) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(journey.start()).query))


def selling(issuer: Issuer, question: dict[str, str], **changed: Any) -> dict[str, str]:
    """Have the issuer sell an honest token, but for what is changed; what the browser comes back with."""

    def sell(form: dict[str, str]) -> object:
        verifier = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        assert verifier == question["code_challenge"] and form["redirect_uri"] == question["redirect_uri"] == BACK
        claims = {"nonce": question["nonce"], "sub": "17", "preferred_username": "dora"} | changed
        return {"id_token": issuer.token(question["client_id"], **claims)}

    issuer.sell = sell
    return {"state": question["state"], "code": "a-code"}


def test_who_comes_back_is_known_by_issuer_and_subject(issuer: Issuer, journey: Journey) -> None:
    question = asked(journey)
    assert (question["response_type"], question["code_challenge_method"]) == ("code", "S256")
    arrival = journey.end(selling(issuer, question))
    assert (arrival.identity.issuer, arrival.identity.subject, arrival.wanted) == (issuer.url, "17", "dora")
    assert issuer.clients == ["Basic " + b64encode(b"glass+house:s%3Acret").decode()]
    other = asked(replace(journey, visit="another-visit"))
    assert all(other[name] != question[name] for name in ("state", "nonce", "code_challenge"))


def test_a_client_without_a_secret_shows_its_name_alone(issuer: Issuer, journey: Journey) -> None:
    public = replace(journey, provider=journey.provider.model_copy(update={"client_secret": None}))
    assert public.end(selling(issuer, asked(public))).wanted == "dora" and issuer.clients == [None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": ["glass house", "another"], "azp": "another"},
        {"iss": "https://id.example.com"},
        {"exp": 1},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"key": ec.generate_private_key(ec.SECP256R1())},
    ],
)
def test_a_token_that_is_not_for_this_sign_in_is_declined(
    issuer: Issuer, journey: Journey, wrong: dict[str, Any]
) -> None:
    answer = selling(issuer, asked(journey), **wrong)
    with pytest.raises(Problem) as declined:
        journey.end(answer)
    assert declined.value.status == 403


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", 7, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxNyJ9."])
def test_what_is_not_a_token_is_declined(issuer: Issuer, journey: Journey, token: object) -> None:
    answer = selling(issuer, asked(journey))
    issuer.sell = lambda form: {"id_token": token}
    with pytest.raises(Problem) as declined:
        journey.end(answer)
    assert declined.value.status == 403


@pytest.mark.parametrize(
    "changed",
    [{"state": ""}, {"state": "x"}, {"code": ""}, {"code": "x" * 5000}, {"iss": "https://id.example.com"}],
)
def test_an_answer_that_is_not_this_browser_s_is_declined(
    issuer: Issuer, journey: Journey, changed: dict[str, str]
) -> None:
    answer = selling(issuer, asked(journey))
    with pytest.raises(Problem) as declined:
        journey.end(answer | changed)
    assert declined.value.status == 403
    with pytest.raises(Problem):
        replace(journey, visit="another-visit").end(answer)
    assert issuer.clients == []  # nothing was asked of the provider


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://id.example.com"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://id.example.com/authorize"},
        {"authorization_endpoint": ""},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
def test_a_provider_that_says_something_else_is_not_followed(
    issuer: Issuer, journey: Journey, discovery: dict[str, str]
) -> None:
    issuer.discovery |= discovery
    with pytest.raises(Problem) as declined:
        journey.start()
    assert declined.value.status == 503


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"issuer": "http://id.example.org"}', "x" * 100])
def test_another_file_names_no_provider(tmp_path: Path, text: str) -> None:
    assert provider.named_in(tmp_path) is None
    (tmp_path / provider.FILE).write_text(text)
    with pytest.raises(InputError):
        provider.named_in(tmp_path)


def test_a_token_without_a_key_s_id_is_by_the_only_key_there_is(issuer: Issuer) -> None:
    keys = issuers.Keys()
    assert keys.key(issuer.url, None).key_id == "one"
    known = keys.issuer(issuer.url)
    two = replace(known, keys_by_id={**known.keys_by_id, "two": known.keys_by_id["one"]})
    keys._known[issuer.url] = (keys._known[issuer.url][0], two)
    with pytest.raises(jwt.InvalidKeyError):
        keys.key(issuer.url, None)
