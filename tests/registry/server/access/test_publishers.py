"""Trusted Publishers, dry: the library exchanges a workflow's identity token at the server, against an issuer here."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from registry.errors import CredentialsError, InputError, Unavailable
from registry.hub.client import HubClient
from registry.server.access import issuers, publishers
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.oidc_issuer import SUBJECT, Issuer
from tests.registry.server.asking import ask
from tests.sigstore_instance import SigstoreInstance
from tests.synthetic_release import REPO


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer.start() as made:
        yield made


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
    workflow.repos.ensure(trusted)
    commit = workflow.trees.publish(trusted, folder, "Release", workflow.refs.head(trusted))
    workflow.refs.tag(trusted, "v1.0.0", commit, "Release")
    client.repos.ensure("glasshouse/another")
    with pytest.raises(CredentialsError, match="may not write"):
        workflow.trees.publish("glasshouse/another", folder, "Release", client.refs.head("glasshouse/another"))


def glasshouse(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = (str(Path(sys.executable).parent / "glasshouse"), *words)
    cwd = environment["HF_HOME"]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_workflow_signs_and_publishes_as_one_identity_with_no_stored_token(
    hub: HubInstance, issuer: Issuer, sigstore: SigstoreInstance, tmp_path: Path
) -> None:
    """The library's own way from ACTIONS_ID_TOKEN_REQUEST_URL to the Hub's token, and Sigstore's to a certificate."""
    workflow = "https://github.com/org/project/.github/workflows/release.yml@refs/heads/main"

    def mint(audience: str) -> str:
        return sigstore.token(workflow) if audience == "sigstore" else issuer.token(audience)

    issuer.mint = mint
    publishers.trust(hub.root, publishers.Publisher(issuer=issuer.url, subject=SUBJECT, audience=hub.url, repo=REPO))
    synthetic_release.write(tmp_path / "release")
    environment = issuer.job(hub, REPO, tmp_path)
    trust = ("--trust-config", str(sigstore.trust_config_path))

    signed = glasshouse(environment, "release", "sign", "release", *trust)
    assert signed.returncode == 0 and workflow in signed.stdout, signed.stderr
    published = glasshouse(environment, "release", "publish", "release")
    assert published.returncode == 0 and f"published hf://{REPO}@v1.0.0" in published.stdout, published.stderr
    assert set(issuer.asked) == {"sigstore", hub.url}
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
        HubClient().refs.head(REPO)
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
