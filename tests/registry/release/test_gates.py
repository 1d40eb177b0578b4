"""A candidate is promoted once every gate of the policy is open, and by a word that whoever verifies hears."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from registry import canonical, cli
from registry.attest.localkey import KeySigner
from registry.attest.statement import Subject
from registry.hub.client import HubClient
from registry.release import gates
from registry.release.publishing import publish
from registry.release.signing import sign
from registry.variables import MEMORY
from tests import synthetic_release
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key

FIRST, SECOND, THIRD = (f"hf://{synthetic_release.REPO}@v1.0.{number}" for number in range(3))


@dataclass(frozen=True)
class Site:
    """Three releases on a Hub, whose accuracy is 0.90, 0.85 and untold; their signer's key, and another person's."""

    hub: HubInstance
    scratch: Path
    key: Path
    second: Path

    def policy(self, **fields: Any) -> Path:
        rules = [KeySigner(key).public_key.as_json() for key in (self.key, self.second)]
        place = self.scratch / "policy.json"
        place.write_text(json.dumps({"signers": rules, **fields}))
        return place

    def run(self, *words: str | Path) -> tuple[int, dict[str, Any]]:
        """The exit code of the command, and what it printed; in this process, for there are many of them."""
        environment = {"HF_TOKEN": self.hub.token, "HF_ENDPOINT": self.hub.url, MEMORY: str(self.scratch / "memory")}
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, environment),
            patch.object(sys, "argv", ["glasshouse", *map(str, words), "--json"]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = cli._ended(cli._run)
        return code, json.loads(out.getvalue() or err.getvalue())

    def say(self, *words: str | Path) -> tuple[int, dict[str, Any]]:
        return self.run("release", *words, "--key", self.key)

    def gates(self, reference: str, *more: str | Path, **fields: Any) -> tuple[int, dict[str, tuple[str, str]]]:
        """The exit code of `release plan`, and each gate's state and reason."""
        code, told = self.run("release", "plan", reference, "--policy", self.policy(**fields), *more)
        return code, {gate["gate"]: (gate["state"], gate["reason"]) for gate in told["gates"]}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    scratch = tmp_path_factory.mktemp("gates")
    site = Site(None, scratch, write_key(scratch / "a.pem"), write_key(scratch / "b.pem"))  # type: ignore[arg-type]
    with HubInstance.start(scratch / "hub") as instance:
        for number, accuracy in enumerate((0.90, 0.85, None)):
            folder = scratch / f"v1.0.{number}"
            metrics = {} if accuracy is None else {"accuracy": accuracy, "note": "x", "done": True}
            extra = {"provenance/metrics/eval/metrics.json": canonical.dumps(metrics)}
            synthetic_release.write(folder, version=f"1.0.{number}", seed=number, extra=extra)
            sign(folder, KeySigner(site.key))
            publish(folder, HubClient(instance.url, instance.token))
        yield Site(instance, scratch, site.key, site.second)


def test_from_candidate_to_yanked(hub: Site) -> None:
    fresh = {"status": {"maxAgeDays": 30}}
    figures = {"promotion": {"figures": {"eval/metrics.json:accuracy": {"better": "higher", "maxWorse": 0.01}}}}

    # 1 nothing was said: the gates are open, and there is no release before to compare with
    code, gates = hub.gates(FIRST, **fresh, **figures)
    assert code == 0 and gates["verification"][0] == gates["standing"][0] == "open"
    assert "no release before it is active" in gates["eval/metrics.json:accuracy"][1]
    assert hub.run("verify", FIRST, "--policy", hub.policy(**fresh))[0] == 3

    # 2 promoted
    code, told = hub.say("promote", FIRST, "--policy", hub.policy(**fresh, **figures), "--valid-days", "9")
    assert code == 0 and told["published"].startswith("status:v1.0.0/000001-active-")
    assert hub.run("verify", FIRST, "--policy", hub.policy(**fresh))[0] == 0

    # 3 a figure that fell too far shuts the gate, and nothing is signed
    code, gates = hub.gates(SECOND, **figures)
    assert code == 1 and gates["eval/metrics.json:accuracy"][0] == "shut"
    code, told = hub.say("promote", SECOND, "--policy", hub.policy(**figures))
    assert code == 1 and told["verdict"] == "FAIL" and told["lastActive"] == f"{synthetic_release.REPO}@v1.0.0"
    wider = {"promotion": {"figures": {"eval/metrics.json:accuracy": {"better": "higher", "maxWorse": 0.06}}}}
    assert hub.gates(SECOND, **wider)[0] == 0
    assert hub.gates(THIRD, **figures)[1]["eval/metrics.json:accuracy"][0] == "unknown"
    assert hub.gates(THIRD, **figures)[0] == 3

    # 4 the next one is promoted, and the first points to it; then it is said once more
    assert hub.say("promote", SECOND, "--policy", hub.policy(**wider))[0] == 0
    assert hub.say("supersede", FIRST, "--by", "v1.0.9", "--reason", "x")[0] == 2
    assert hub.say("supersede", FIRST, "--by", "v1.0.0", "--reason", "x")[0] == 2
    assert hub.say("supersede", FIRST, "--by", "v1.0.1", "--reason", "better data")[0] == 0
    code, told = hub.say("refresh", FIRST, "--policy", hub.policy(), "--valid-days", "90")
    assert code == 0 and told["standing"] == "superseded" and "000003" in told["published"]

    # 5 a yank holds: by the Hub, in words about its severity, and against a promotion
    code, told = hub.say("yank", SECOND, "--reason", "a wrong licence", "--severity", "high", "--by", "v1.0.2")
    assert code == 0
    code, report = hub.run("verify", SECOND, "--policy", hub.policy())
    (check,) = [check for check in report["checks"] if check["step"] == 7]
    assert code == 1 and "yanked (high)" in check["reason"] and "go to v1.0.2" in check["reason"]
    assert hub.gates(SECOND)[1]["standing"][0] == "shut"
    assert hub.say("promote", SECOND, "--policy", hub.policy())[0] == 1
    assert hub.say("refresh", SECOND, "--policy", hub.policy())[0] == 2

    # 6 whoever had heard of it, hears of it still where the Hub forgot
    client = HubClient(hub.hub.url, hub.hub.token)
    assert "status" in client.refs.branches(synthetic_release.REPO)
    code, report = hub.run("verify", hub.scratch / "v1.0.1", "--policy", hub.policy())
    assert code == 1 and "as this machine heard before" in json.dumps(report)


def test_approvals_are_signatures_by_different_people(hub: Site, tmp_path: Path) -> None:
    two: dict[str, Any] = {"promotion": {"approvals": {"atLeast": 2}}}
    code, gates = hub.gates(THIRD, **two)
    assert code == 1 and gates["approvals"] == ("shut", "1 approved; the policy asks for 2")
    folder, stranger = hub.scratch / "v1.0.2", write_key(tmp_path / "stranger.pem")
    bundles = {}
    for name, key in (("own", hub.key), ("second", hub.second), ("stranger", stranger)):
        bundles[name] = tmp_path / f"{name}.sigstore.json"
        assert hub.run("trust", "cosign", folder, "--key", key, "--output", bundles[name])[0] == 0
    for name, state in (("own", "shut"), ("stranger", "shut"), ("second", "open")):
        assert hub.gates(THIRD, "--attestation", bundles[name], **two)[1]["approvals"][0] == state, name
    others = {"promotion": {"approvals": {"atLeast": 1, "signers": [KeySigner(stranger).public_key.as_json()]}}}
    assert hub.gates(THIRD, **others)[1]["approvals"][0] == "shut"  # the release's own signer is not asked
    assert hub.gates(THIRD, "--attestation", bundles["stranger"], **others)[0] == 0


def test_what_policy_asks_of_any_release_is_asked_of_a_candidate(hub: Site) -> None:
    code, gates = hub.gates(THIRD, openness="II", attestations=["nonesuch"])
    assert code == 1
    assert gates["verification: openness"][0] == "unknown"
    assert gates["verification: attestation nonesuch"][0] == "shut"


def test_another_release_than_was_verified_is_not_promoted(hub: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = gates.look

    def other(*words: Any, **fields: Any) -> gates.Promotable:
        return replace(looked(*words, **fields), subject=Subject("org/other@v1.0.0", "0" * 64))

    monkeypatch.setattr(gates, "look", other)
    code, told = hub.say("promote", THIRD, "--policy", hub.policy())
    assert code == 3 and "another release now" in json.dumps(told)


def test_what_cannot_be_asked_is_refused(hub: Site, tmp_path: Path) -> None:
    policy = hub.policy()
    for words in (
        ("release", "plan", hub.scratch / "v1.0.0", "--policy", policy),
        ("release", "plan", FIRST, "--policy", tmp_path / "none.yaml"),
        ("release", "refresh", THIRD, "--policy", policy, "--key", hub.key),
        ("release", "yank", THIRD, "--reason", "", "--key", hub.key),
        ("release", "yank", THIRD, "--reason", "x", "--severity", "dire", "--key", hub.key),
    ):
        assert hub.run(*words)[0] == 2, words
    out = tmp_path / "word.sigstore.json"
    dry = hub.say("yank", THIRD, "--reason", "x", "--output", out, "--dry-run")
    assert dry[0] == 0 and not out.exists()
    assert hub.say("yank", hub.scratch / "v1.0.2", "--reason", "x", "--output", out)[0] == 0 and out.exists()
    assert hub.run("verify", THIRD, "--policy", policy)[0] == 0  # it was published nowhere
    assert hub.run("verify", hub.scratch / "v1.0.2", "--policy", policy, "--attestation", out)[0] == 1
