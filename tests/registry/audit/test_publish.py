"""An auditor without the right to write brings a verdict to the release; once merged, it counts for verifiers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.attest.bundle import Bundle
from registry.attest.predicates import Rebuild
from registry.attest.statement import Statement, Subject
from registry.audit.publish import proposal
from registry.digest import sha256_file
from registry.errors import CredentialsError, InputError
from registry.hub.client import HubClient
from registry.records import layout
from registry.release.publishing import publish
from registry.server.access.tokens import Role
from tests import verdict_files
from tests.hub_instance import HubInstance
from tests.registry.verification.conftest import MAINTAINER
from tests.sigstore_instance import ISSUER, SigstoreInstance
from tests.synthetic_release import COMMIT, REPO

AUDITOR = "auditor@elsewhere.example"
NOW = "2026-01-01T00:00:00Z"
Glasshouse = Callable[..., subprocess.CompletedProcess[str]]


def statement(subject: Subject, reason: str = "15 BITWISE of the outputs") -> Statement:
    return Rebuild(
        verdict="BITWISE", reason=reason, profile="portable", machine="x", started_at=NOW, finished_at=NOW,
        source=COMMIT, environment="fresh",
    ).about([subject])  # fmt: skip


@pytest.fixture
def verdict(release: Path, tmp_path: Path) -> Path:
    """What `audit rebuild` would write of the release."""
    bundle = Bundle.parse((release / layout.RELEASE_ATTESTATION).read_bytes())
    subject = Statement.parse(bundle.envelope.payload).subjects[0]
    weights = sha256_file(release / layout.WEIGHTS)
    found = verdict_files.details(verdict_files.SAME | {"signed": weights, "found": weights})
    made = verdict_files.rebuild(found, subject, source=COMMIT, environment="fresh")
    (tmp_path / "verdict.json").write_bytes(made.to_bytes())
    return tmp_path / "verdict.json"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Wants one rebuilder."""
    names = [{"kind": "identity", "identity": who, "issuer": ISSUER} for who in (MAINTAINER, AUDITOR)]
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"signers": names[:1], "rebuilders": {"atLeast": 1, "signers": names}}))
    return path


@pytest.fixture
def maintainer(hub: HubInstance, monkeypatch: pytest.MonkeyPatch) -> HubClient:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return HubClient(hub.url, hub.token)


@pytest.fixture
def glasshouse(hub: HubInstance, tmp_path: Path) -> Glasshouse:
    """The command, as somebody whose token may write to nothing of this release."""
    token = hub.user("auditor", Role.WRITE)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **hub.environment(tmp_path / "huggingface"), "HF_TOKEN": token}
        command = (str(Path(sys.executable).parent / "glasshouse"), *words)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_an_audit_is_proposed_merged_and_counted(
    release: Path,
    verdict: Path,
    policy: Path,
    sigstore: SigstoreInstance,
    maintainer: HubClient,
    glasshouse: Glasshouse,
) -> None:
    trust = ("--trust-config", str(sigstore.trust_config_path))
    reference = str(publish(release, maintainer))
    head = maintainer.refs.head(REPO, "audits")
    attest = ("audit", "attest", str(verdict), *trust, "--identity-token", sigstore.token(AUDITOR), "--publish")

    dry = glasshouse(*attest, "--dry-run")
    assert dry.returncode == 0 and f"as {AUDITOR}, and propose v1.0.0/rebuild-" in dry.stdout, dry.stderr
    assert maintainer.pulls.list(REPO) == () and not verdict.with_name("verdict.sigstore.json").exists()

    done = glasshouse(*attest)
    assert done.returncode == 0 and f"proposed: {maintainer.endpoint}/{REPO}/discussions/1" in done.stdout, done.stderr
    again = glasshouse(*attest, "--json")
    assert json.loads(again.stdout) == {"proposed": f"{maintainer.endpoint}/{REPO}/discussions/1"}
    (pull,) = maintainer.pulls.list(REPO)
    assert (pull.author, pull.status) == ("auditor", "open") and "Audit of v1.0.0: BITWISE" in pull.title
    assert maintainer.refs.head(REPO, "audits") == head  # nothing moves by itself

    verify = ("verify", reference, "--policy", str(policy), *trust)
    assert glasshouse(*verify).returncode == 3
    maintainer.pulls.merge(REPO, 1)
    counted = glasshouse(*verify)
    assert counted.returncode == 0, counted.stdout
    assert "/blob/audits/v1.0.0/rebuild-" in glasshouse(*attest).stdout
    assert len(maintainer.pulls.list(REPO)) == 1


def test_without_a_token_nothing_is_proposed(release: Path, maintainer: HubClient, hub: HubInstance) -> None:
    publish(release, maintainer)
    with pytest.raises(CredentialsError):
        HubClient(hub.url).pulls.propose(REPO, layout.AUDITS, {"v1.0.0/x.sigstore.json": b"{}"}, "An audit")


def test_each_statement_has_one_place() -> None:
    of = Subject("org/model@v1.0.0", "a" * 64)
    first, second = proposal(statement(of)), proposal(statement(of, reason="another reason"))
    assert first == proposal(statement(of)) and first.path != second.path
    assert str(first.release) == "hf://org/model@v1.0.0" and first.path.startswith("v1.0.0/rebuild-")


@pytest.mark.parametrize("name", ["model", "org/model", "org/model@", "../model@v1", "org/model@../v1", "a/b/c@v1"])
def test_what_is_no_release_is_proposed_nowhere(name: str) -> None:
    with pytest.raises(InputError):
        proposal(statement(Subject(name, "a" * 64)))
