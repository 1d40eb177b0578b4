"""Trusted Publishers, dry: the library exchanges a workflow's identity token at the server, against an issuer here."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from registry.errors import CredentialsError, InputError
from registry.hub.client import HubClient
from registry.hub.server import publishers
from tests.hub_instance import HubInstance
from tests.registry.hub.test_server_protocol import ask

SUBJECT = "repo:org/project:environment:release"


class Issuer:
    """An OIDC issuer on loopback, with one key."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        keys = json.dumps({"keys": [public | {"kid": "one", "alg": "ES256", "use": "sig"}]}).encode()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = {"/keys": keys, "/.well-known/openid-configuration": json.dumps(issuer.discovery).encode()}
                body = found.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *arguments: Any) -> None:
                """Silence."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.discovery = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}

    def token(self, audience: str, key: Any = None, **changed: Any) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "sub": SUBJECT, "aud": audience, "iat": now, "exp": now + 300} | changed
        return jwt.encode(claims, key or self._key, algorithm="ES256", headers={"kid": "one"})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def trusted(hub: HubInstance, issuer: Issuer, repo: str) -> str:
    """A repository that the workflow may publish to."""
    publishers.trust(hub.root, publishers.Publisher(issuer=issuer.url, subject=SUBJECT, audience=hub.url, repo=repo))
    return repo


def exchange(hub: HubInstance, identity: str, resource: str) -> tuple[int, dict[str, Any]]:
    body = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "subject_token": identity,
        "resource": resource,
    }
    status, _, answer = ask(hub, "POST", "/oauth/token", body, token="")
    return status, json.loads(answer)


def test_a_workflow_publishes_without_a_stored_token(
    hub: HubInstance, issuer: Issuer, trusted: str, folder: Path, client: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub._oidc import oidc_login

    made = oidc_login(resource=trusted, subject_token=issuer.token(hub.url), endpoint=hub.url)
    assert made["token_type"] == "bearer" and made["expires_in"] == 3600
    workflow = HubClient(hub.url, made["access_token"])
    workflow.ensure_repo(trusted)
    commit = workflow.publish(trusted, folder, "Release", workflow.head(trusted))
    workflow.tag(trusted, "v1.0.0", commit, "Release")
    client.ensure_repo("glasshouse/another")
    with pytest.raises(CredentialsError, match="may not write"):
        workflow.publish("glasshouse/another", folder, "Release", client.head("glasshouse/another"))


def test_identities_that_do_not_hold_get_nothing(hub: HubInstance, issuer: Issuer, trusted: str) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    past = int(time.time()) - 3600
    for identity, resource, status in (
        (issuer.token(hub.url, key=stranger), trusted, 403),
        (issuer.token("https://another.example.org"), trusted, 403),
        (issuer.token(hub.url, exp=past, iat=past - 60), trusted, 403),
        (issuer.token(hub.url, sub=SUBJECT + "x"), trusted, 403),
        (issuer.token(hub.url, iss="https://evil.example.org"), trusted, 403),
        (issuer.token(hub.url), "glasshouse/another", 403),
        (jwt.encode({"iss": issuer.url, "sub": SUBJECT}, "", algorithm="none"), trusted, 403),
        ("nonsense", trusted, 400),
    ):
        assert exchange(hub, identity, resource)[0] == status, (identity, resource)
    issuer.discovery["jwks_uri"] = f"{issuer.url}/nothing"
    assert exchange(hub, issuer.token(hub.url), trusted)[0] == 503
    assert ask(hub, "POST", "/oauth/token", {"grant_type": "password"}, token="")[0] == 400


@pytest.mark.parametrize("change", [{"issuer": "http://example.org"}, {"issuer": "file:///etc"}, {"repo": "../x"}])
def test_only_addresses_that_are_safe_to_ask(tmp_path: Path, change: dict[str, str]) -> None:
    row = {"issuer": "https://issuer.example", "subject": "s", "audience": "a", "repo": "org/model"} | change
    with pytest.raises(InputError):
        publishers.Publisher.from_json(row, name="the publisher")
