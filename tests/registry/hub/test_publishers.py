"""Trusted Publishers, dry: the library exchanges a workflow's identity token at the server, against an issuer here."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from registry.errors import CredentialsError, InputError, Unavailable
from registry.hub.client import HubClient
from registry.hub.server import issuers, publishers
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.hub.test_server_protocol import ask
from tests.sigstore_instance import SigstoreInstance
from tests.synthetic_release import REPO

SUBJECT = "repo:org/project:environment:release"


class Issuer:
    """An OIDC issuer on loopback, with one key.

    mint: what a job of GitHub Actions gets that asks it for a token for an audience.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        keys = json.dumps({"keys": [public | {"kid": "one", "alg": "ES256", "use": "sig"}]}).encode()
        issuer = self
        self.mint: Callable[[str], str] = self.token

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = {"/keys": keys, "/.well-known/openid-configuration": json.dumps(issuer.discovery).encode()}
                address = urlsplit(self.path)
                body = found.get(address.path)
                if address.path == "/token" and self.headers["Authorization"].lower() == "bearer of-this-job":
                    (audience,) = parse_qs(address.query)["audience"]
                    body = json.dumps({"value": issuer.mint(audience)}).encode()
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
        claims = {"iss": self.url, "sub": SUBJECT, "aud": audience, "iat": now, "exp": now + 300}
        claims |= {"jti": secrets.token_hex(8)} | changed
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


def job(hub: HubInstance, issuer: Issuer, resource: str, home: Path) -> dict[str, str]:
    """The environment of a job with `permissions: id-token: write`: no token in it but the right to ask for one."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "ACTIONS_", "SIGSTORE_"))}
    return kept | {
        "GITHUB_ACTIONS": "true",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.url}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-this-job",
        "HF_ENDPOINT": hub.url,
        "HF_OIDC_RESOURCE": resource,
        "HF_HOME": str(home),
        "NO_PROXY": "127.0.0.1",
    }


def glasshouse(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = (str(Path(sys.executable).parent / "glasshouse"), *words)
    cwd = environment["HF_HOME"]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_workflow_signs_and_publishes_as_one_identity_with_no_stored_token(
    hub: HubInstance, issuer: Issuer, sigstore: SigstoreInstance, tmp_path: Path
) -> None:
    """The library's own way from ACTIONS_ID_TOKEN_REQUEST_URL to the Hub's token, and Sigstore's to a certificate."""
    workflow = "https://github.com/org/project/.github/workflows/release.yml@refs/heads/main"
    asked: list[str] = []

    def mint(audience: str) -> str:
        asked.append(audience)
        return sigstore.token(workflow) if audience == "sigstore" else issuer.token(audience)

    issuer.mint = mint
    publishers.trust(hub.root, publishers.Publisher(issuer=issuer.url, subject=SUBJECT, audience=hub.url, repo=REPO))
    synthetic_release.write(tmp_path / "release")
    environment = job(hub, issuer, REPO, tmp_path)
    trust = ("--trust-config", str(sigstore.trust_config_path))

    signed = glasshouse(environment, "release", "sign", "release", *trust)
    assert signed.returncode == 0 and workflow in signed.stdout, signed.stderr
    published = glasshouse(environment, "release", "publish", "release")
    assert published.returncode == 0 and f"published hf://{REPO}@v1.0.0" in published.stdout, published.stderr
    assert set(asked) == {"sigstore", hub.url}
    signer = ("--identity", workflow, "--issuer", sigstore.issuer, *trust)
    verified = glasshouse(environment, "verify", f"hf://{REPO}@v1.0.0", *signer)
    assert verified.returncode == 0, verified.stdout + verified.stderr

    issuer.mint = lambda audience: issuer.token(audience, sub="repo:org/fork:ref:refs/heads/main")
    fork = glasshouse(environment, "release", "publish", "release")
    assert fork.returncode == 4 and "nobody of that identity" in fork.stderr


def test_a_job_that_may_not_ask_for_a_token_is_told_how(hub: HubInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HF_ENDPOINT", hub.url), ("HF_OIDC_RESOURCE", REPO), ("GITHUB_ACTIONS", "true")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_URL", raising=False)
    with pytest.raises(CredentialsError, match="no identity to ask") as refusal:
        HubClient().head(REPO)
    assert "id-token: write" in refusal.value.mend


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
    assert ask(hub, "POST", "/oauth/token", {"grant_type": "password"}, token="")[0] == 400


def test_an_identity_token_buys_one_token(hub: HubInstance, issuer: Issuer, trusted: str) -> None:
    identity = issuer.token(hub.url)
    assert exchange(hub, identity, trusted)[0] == 200
    status, said = exchange(hub, identity, trusted)
    assert status == 403 and "used before" in said["error"]
    padded = identity[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}.get(identity[-1], identity[-1])
    assert exchange(hub, padded, trusted)[0] in (400, 403)  # another spelling of the same signature
    assert exchange(hub, issuer.token(hub.url), trusted)[0] == 200


@pytest.mark.parametrize(
    "change",
    [
        {"jwks_uri": "/nothing"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://[::1"},
        {"jwks_uri": "https://127.0.0.1:1/keys"},
        {"jwks_uri": None},
        {"issuer": "https://another.example.org"},
    ],
)
def test_keys_that_cannot_be_had_are_a_503(
    hub: HubInstance, issuer: Issuer, trusted: str, change: dict[str, Any]
) -> None:
    issuer.discovery |= {key: f"{issuer.url}{value}" if value == "/nothing" else value for key, value in change.items()}
    assert exchange(hub, issuer.token(hub.url), trusted)[0] == 503
    issuer.discovery |= {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
    assert exchange(hub, issuer.token(hub.url), trusted)[0] == 503  # not asked again at once


def test_who_names_an_issuer_cannot_make_it_be_asked_again_and_again(issuer: Issuer) -> None:
    keys = issuers.Keys()
    assert keys.key(issuer.url, "one").key_id == "one"
    issuer.discovery["jwks_uri"] = f"{issuer.url}/nothing"
    for _ in range(3):
        with pytest.raises(jwt.InvalidKeyError):
            keys.key(issuer.url, "another")
    assert keys.key(issuer.url, "one").key_id == "one"


def test_an_answer_without_end_is_given_up(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuers, "MAX_ANSWER", 20)
    with pytest.raises(Unavailable, match=r"does not end"):
        issuers.fetch(issuer.url)


@pytest.mark.parametrize("change", [{"issuer": "http://example.org"}, {"issuer": "file:///etc"}, {"repo": "../x"}])
def test_only_addresses_that_are_safe_to_ask(tmp_path: Path, change: dict[str, str]) -> None:
    row = {"issuer": "https://issuer.example", "subject": "s", "audience": "a", "repo": "org/model"} | change
    with pytest.raises(InputError):
        publishers.Publisher.from_json(row, name="the publisher")
