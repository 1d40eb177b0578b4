"""Who signs when no token is given: the CI system's own credential, or a person at a browser.

Each CI system is asked as it is asked in life, by sigstore-python's own detection; what answers stands in for it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from registry.attest.policy import Policy, SigstoreIdentity
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.verifier import Verifier
from registry.errors import CredentialsError
from tests.registry.attest.conftest import STATEMENT
from tests.sigstore_instance import ISSUER, SigstoreInstance
from tests.sigstore_instance.login import RUNNER

WORKFLOW = "https://github.com/org/model/.github/workflows/release.yml@refs/tags/v1"
PERSON = "person@example.org"
CI = ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "GOOGLE_SERVICE_ACCOUNT_NAME", "SIGSTORE_ID_TOKEN")
AGENT = """import sys
assert sys.argv[1:] == ["oidc", "request-token", "--audience", "sigstore"], sys.argv
print("{token}")
"""
BROWSER = f"""import sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as page:
    assert b"Who are you?" in page.read()
with urllib.request.urlopen(page.url + "&login={quote(PERSON)}") as page:
    assert b"successful" in page.read() and "/auth/callback" in page.url
"""


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment of no CI system."""
    for name in [name for name in os.environ if name in CI or name.startswith(("ACTIONS_", "GITHUB_"))]:
        monkeypatch.delenv(name)
    return monkeypatch


def script(path: Path, text: str, **values: str) -> Path:
    """A program in Python. A shell starts it, for the interpreter's path may hold a space."""
    program = text.format(**values)
    path.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} - \"$@\" <<'END'\n{program}END\n")
    path.chmod(0o755)
    return path


def in_github(instance: SigstoreInstance, patch: pytest.MonkeyPatch, scratch: Path) -> None:
    patch.setenv("GITHUB_ACTIONS", "true")
    patch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{instance.url}/ci/github?subject={quote(WORKFLOW)}")
    patch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", RUNNER.removeprefix("bearer "))


def in_gitlab(instance: SigstoreInstance, patch: pytest.MonkeyPatch, scratch: Path) -> None:
    patch.setenv("GITLAB_CI", "true")
    patch.setenv("SIGSTORE_ID_TOKEN", instance.token(WORKFLOW))


def in_buildkite(instance: SigstoreInstance, patch: pytest.MonkeyPatch, scratch: Path) -> None:
    script(scratch / "buildkite-agent", AGENT, token=instance.token(WORKFLOW))
    patch.setenv("PATH", str(scratch), prepend=os.pathsep)
    patch.setenv("BUILDKITE", "true")


def in_google_cloud(instance: SigstoreInstance, patch: pytest.MonkeyPatch, scratch: Path) -> None:
    """The metadata server has a name of its own there, and the machine's firmware says whose it is."""
    (scratch / "product_name").write_text("Google Compute Engine\n")
    ambient = "id._internal.oidc.ambient"
    patch.setattr(f"{ambient}._GCP_PRODUCT_NAME_FILE", str(scratch / "product_name"))
    patch.setattr(f"{ambient}._GCP_IDENTITY_REQUEST_URL", f"{instance.url}/ci/google?subject={quote(WORKFLOW)}")


Enter = Callable[[SigstoreInstance, pytest.MonkeyPatch, Path], None]


@pytest.mark.parametrize("config", ["trust-config.json", "trust-config-rekor2.json"])
@pytest.mark.parametrize("enter", [in_github, in_gitlab, in_buildkite, in_google_cloud])
def test_a_ci_system_s_own_credential_signs(
    instance: SigstoreInstance, bare: pytest.MonkeyPatch, tmp_path: Path, enter: Enter, config: str
) -> None:
    enter(instance, bare, tmp_path)
    signer = SigstoreSigner(instance.folder / config)
    assert signer.identity == WORKFLOW
    policy = Policy(signers=(SigstoreIdentity(identity=WORKFLOW, issuer=ISSUER),))
    assert Verifier(policy, instance.trusted_root_path).verify(signer.sign(STATEMENT)).statement == STATEMENT


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"GITHUB_ACTIONS": "true"}, "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
        (
            {
                "GITHUB_ACTIONS": "true",
                "ACTIONS_ID_TOKEN_REQUEST_URL": "{url}/ci/github?subject=x",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x",
            },
            "code=401",
        ),
        ({"GITLAB_CI": "true"}, "SIGSTORE_ID_TOKEN"),
        ({"GITLAB_CI": "true", "SIGSTORE_ID_TOKEN": "no token"}, "Malformed token"),
        ({"BUILDKITE": "true", "PATH": "/nowhere"}, "Buildkite agent"),
        ({}, "no identity to sign with"),
    ],
)
def test_a_ci_system_that_offers_none_is_a_matter_of_credentials(
    instance: SigstoreInstance, bare: pytest.MonkeyPatch, variables: Mapping[str, str], reason: str
) -> None:
    for name, value in variables.items():
        bare.setenv(name, value.replace("{url}", instance.url))
    with pytest.raises(CredentialsError, match=reason) as refused:
        SigstoreSigner(instance.trust_config_path)
    assert refused.value.exit_code == 4


@pytest.mark.parametrize("config", ["trust-config.json", "trust-config-rekor2.json"])
def test_a_person_logs_in_by_a_browser(
    instance: SigstoreInstance, bare: pytest.MonkeyPatch, tmp_path: Path, config: str
) -> None:
    """In a process of its own, for the browsers are found when the module is imported."""
    bare.setenv("BROWSER", f"{script(tmp_path / 'browser', BROWSER)} %s")
    code = (
        "import sys; from pathlib import Path; from registry.attest.sigstore.sign import SigstoreSigner\n"
        "from tests.registry.attest.conftest import STATEMENT\n"
        "signer = SigstoreSigner(Path(sys.argv[1]), browser=True); print(signer.identity)\n"
        "Path(sys.argv[2]).write_bytes(signer.sign(STATEMENT))"
    )
    bundle = tmp_path / "bundle.json"
    command = [sys.executable, "-c", code, str(instance.folder / config), str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == PERSON, done.stderr
    policy = Policy(signers=(SigstoreIdentity(identity=PERSON, issuer=ISSUER),))
    assert Verifier(policy, instance.trusted_root_path).verify(bundle.read_bytes()).statement == STATEMENT
