"""What becomes of a release: said by its signer, on the Hub or in a file, and heard by whoever verifies it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from registry.attest.localkey import KeySigner
from registry.hub.client import HubClient
from registry.release.publishing import publish
from registry.release.signing import sign
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key

GLASSHOUSE = str(Path(sys.executable).with_name("glasshouse"))
REFERENCE = f"hf://{synthetic_release.REPO}@v1.0.0"


@dataclass(frozen=True)
class Site:
    """A release, its signer's key, a policy that asks for a word of the last 30 days; and the Hub, if it is on one."""

    folder: Path
    key: Path
    policy: Path
    hub: HubInstance | None = None

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
        if self.hub is not None:
            environment |= {"HF_TOKEN": self.hub.token, "HF_ENDPOINT": self.hub.url}
        command = [GLASSHOUSE, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def say(self, *words: str | Path, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run("release", "status", self.folder, "--key", key or self.key, *words)

    def verified(self, *words: str | Path) -> tuple[int, dict[str, Any]]:
        """The exit code, and the check of step 7."""
        done = self.run("verify", *words, "--policy", self.policy, "--json")
        (check,) = [check for check in json.loads(done.stdout)["checks"] if check["step"] == 7]
        return done.returncode, check


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The release, in a directory."""
    scratch = tmp_path_factory.mktemp("site")
    key, folder, policy = write_key(scratch / "private.pem"), scratch / "release", scratch / "policy.json"
    signer = KeySigner(key)
    synthetic_release.write(folder)
    sign(folder, signer)
    policy.write_text(json.dumps({"signers": [signer.public_key.as_json()], "status": {"maxAgeDays": 30}}))
    return Site(folder, key, policy)


@pytest.fixture
def published(site: Site, tmp_path: Path) -> Iterator[Site]:
    """The same, just published."""
    with HubInstance.start(tmp_path / "hub") as hub:
        publish(site.folder, HubClient(hub.url, hub.token))
        yield replace(site, hub=hub)


def test_the_newest_word_on_the_hub_is_heard(published: Site, tmp_path: Path) -> None:
    site = published
    assert site.hub is not None
    assert site.verified(REFERENCE)[0] == 3
    assert site.say("--say", "active", "--reason", "as good as ever", "--publish").returncode == 0
    code, check = site.verified(REFERENCE)
    assert (code, check["verdict"]) == (0, "PASS") and "as good as ever" in check["reason"]
    stranger = write_key(tmp_path / "stranger.pem")
    assert site.say("--say", "yanked", "--reason", "spite", "--publish", key=stranger).returncode == 0
    assert site.verified(REFERENCE)[0] == 0  # nobody whom the policy names said so
    said = json.loads(site.say("--say", "yanked", "--reason", "a wrong licence", "--publish", "--json").stdout)
    assert said["published"].startswith("status:v1.0.0/000003-yanked-")
    code, check = site.verified(REFERENCE)
    assert (code, check["verdict"]) == (1, "FAIL") and "a wrong licence" in check["reason"]
    hub = HubClient(site.hub.url, site.hub.token)
    files = {
        file.path for file in hub.files.list(synthetic_release.REPO, hub.refs.head(synthetic_release.REPO, "status"))
    }
    assert len([path for path in files if path.startswith("v1.0.0/")]) == 3  # nothing is taken back


def test_a_word_in_a_file_is_heard_where_there_is_no_hub(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "word.sigstore.json"
    assert site.say("--say", "superseded", "--reason", "better data", "--out", out).returncode == 2
    done = site.say("--say", "superseded", "--successor", "v1.0.1", "--reason", "better data", "--out", out)
    assert done.returncode == 0, done.stderr
    code, check = site.verified(site.folder, "--attestation", out)
    assert (code, check["verdict"]) == (0, "PASS") and "go to v1.0.1" in check["reason"]


def test_what_is_not_to_be_said_is_not_signed(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "never.json"
    for words in (
        ("--say", "gone", "--reason", "x", "--out", out),
        ("--say", "active", "--reason", "x"),
        ("--say", "active", "--successor", "v2", "--reason", "x", "--out", out),
        ("--say", "active", "--reason", "", "--out", out),
    ):
        assert site.say(*words).returncode == 2, words
    dry = site.say("--say", "yanked", "--reason", "x", "--out", out, "--publish", "--dry-run")
    assert dry.returncode == 0 and "would say" in dry.stdout
    assert not out.exists()
