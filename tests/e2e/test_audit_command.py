"""`glasshouse audit` as an auditor types it: what it refuses, what a Ctrl-C leaves, and verdicts signed and counted."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from registry.attest.audits import Replay
from registry.attest.predicates import Rebuild
from registry.attest.statement import Statement
from registry.audit.verdict_file import VerdictFile
from tests.audited import WALLED
from tests.conftest import MAINTAINER, Released
from tests.forging import CHECKPOINTS
from tests.sigstore_instance import SigstoreInstance

pytestmark = WALLED
AUDITOR = "auditor@elsewhere.example"
COMMON = ("--environment", "current", "--source", ".")


def command(released: Released, *words: str, variables: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """`glasshouse audit` on one core: one process trains. Each loads torch, for seconds."""
    core = str(random.choice(sorted(os.sched_getaffinity(0))))
    done = released.project.run(
        "taskset", "--cpu-list", core, "glasshouse", "audit", *words, check=False,
        variables={**released.hub, **(variables or {})},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_no_code_of_a_release_that_does_not_verify_is_run(released: Released, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(released.folder, tmp_path / "release"))
    with (folder / "config.json").open("a") as config:
        config.write(" ")
    for word in ("replay", "rebuild"):
        code, _, said = command(released, word, str(folder), *COMMON, *released.signer)
        assert code == 1 and "none of its code is run" in said and "config.json" in said
        assert "fetching the source" not in said
    assert command(released, "replay", str(released.folder), *COMMON)[0] == 2  # nobody is named who may sign


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_audit_leaves_nothing_behind(released: Released, tmp_path: Path, number: int) -> None:
    """Neither a file, nor a process, nor half a verdict."""
    scratch, verdict = tmp_path / "scratch", tmp_path / "verdict.json"
    scratch.mkdir()
    words = [
        "glasshouse",
        "audit",
        "rebuild",
        str(released.folder),
        *COMMON,
        *released.signer,
        "--output",
        str(verdict),
    ]
    with subprocess.Popen(
        words, cwd=released.project.root, env={**released.project.environment, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    ) as audit:  # fmt: skip
        assert audit.stderr is not None
        while "packages: current" not in (said := audit.stderr.readline()):
            assert said, "it ended before it ran any code of the release"
        while not _processes(scratch):
            time.sleep(0.02)
        audit.send_signal(number)
        audit.communicate(timeout=60)
    assert audit.returncode == 130
    assert not list(scratch.iterdir()) and not verdict.exists() and not _processes(scratch)


def _processes(scratch: Path) -> list[str]:
    """Those that work in that folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found += [folder.parent.name] if folder.resolve().is_relative_to(scratch) else []
    return found


def test_a_replay_by_chance_is_recorded_and_signed(
    released: Released, sigstore: SigstoreInstance, tmp_path: Path
) -> None:
    verdict, nonce = tmp_path / "verdict.json", "ab" * 32
    code, said, words = command(
        released, "replay", str(released.folder), *COMMON, *released.signer, "--segments", "2", "--nonce", nonce,
        "--checkpoints", CHECKPOINTS, "--output", str(verdict),
    )  # fmt: skip
    assert code == 0, said + words
    assert "had 1 segment been forged, this had found it out with 33.3%" in said
    predicate = Replay.of(VerdictFile.read(verdict).signable())
    assert predicate.verdict == "BITWISE" and predicate.challenge.nonce == nonce and predicate.environment == "current"
    assert predicate.challenge.logged_at is not None and len(predicate.replayed) == 2
    trust = ("--trust-config", str(sigstore.trust_config_path))
    code, said, words = command(
        released, "attest", str(verdict), *trust, "--identity-token", sigstore.token(AUDITOR), "--json"
    )
    assert code == 0 and json.loads(said)["signer"] == AUDITOR, words


def test_a_rebuild_is_bitwise_signed_and_counted(
    released: Released, sigstore: SigstoreInstance, tmp_path: Path
) -> None:
    """From its published tag, in a fresh clone; then a policy that wants one rebuilder is met, and not before."""
    verdict = tmp_path / "rebuild.json"
    code, said, words = command(
        released, "rebuild", released.reference, *COMMON, *released.signer, "--output", str(verdict)
    )
    assert code == 0 and "BITWISE    model.safetensors" in said, said + words
    assert Rebuild.of(VerdictFile.read(verdict).signable()).verdict == "BITWISE"
    trust = ("--trust-config", str(sigstore.trust_config_path))
    policy = tmp_path / "policy.json"
    signers = [{"kind": "identity", "identity": who, "issuer": sigstore.issuer} for who in (MAINTAINER, AUDITOR)]
    rebuilders = {"atLeast": 1, "environments": ["fresh", "current"], "signers": signers}
    policy.write_text(json.dumps({"signers": signers[:1], "rebuilders": rebuilders}))
    verifying = ("glasshouse", "verify", str(released.folder), "--policy", str(policy), *trust)
    assert released.project.run(*verifying, check=False).returncode == 3
    for who, expected in ((MAINTAINER, 3), (AUDITOR, 0)):
        bundle = tmp_path / f"{who}.sigstore.json"
        command(
            released, "attest", str(verdict), *trust, "--identity-token", sigstore.token(who), "--output", str(bundle)
        )
        done = released.project.run(*verifying, "--attestation", str(bundle), check=False)
        assert done.returncode == expected, done.stdout
    assert (
        Statement.parse(VerdictFile.read(verdict).signable().to_bytes()).subjects[0].name == "glasshouse/small@v1.0.0"
    )
