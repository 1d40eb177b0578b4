"""A signer's key, certificate or identity is stolen: each cell of the tables in docs/how-to/trust-glasshouse.md."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from typer.testing import CliRunner

from registry.attest import revocation
from registry.attest.localkey import KeySigner
from registry.attest.predicates import Status
from registry.attest.signature import Signer
from registry.attest.sigstore.sign import SigstoreSigner
from registry.cli import app
from registry.files import write_atomic
from registry.release import status
from registry.release.signing import sign
from tests import synthetic_release
from tests.authority import DAY, SIGNER, Authority, StandingClock, revoking, root_pem
from tests.conftest import ROOT
from tests.registry.attest.conftest import write_key
from tests.sigstore_instance import ISSUER, SigstoreInstance
from tests.sigstore_instance.tsa import TimestampAuthority

PAGE = (ROOT / "docs" / "how-to" / "trust-glasshouse.md").read_text()
VERDICTS = {0: "PASS", 1: "FAIL", 3: "UNKNOWN"}
OLD, NEW = "maintainer@example.org", "maintainer-2@example.org"

Words = tuple[str | Path, ...]
"""Of a command line."""


def table(heading: str) -> dict[str, dict[str, str]]:
    """The table under a heading of the page: what is brought -> what is looked at -> verdict."""
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    lines = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)
    first, _, *rows = ([cell.strip() for cell in line.split("|")] for line in lines)
    return {row[0]: dict(zip(first[1:], row[1:], strict=True)) for row in rows}


def run(*words: str | Path) -> int:
    """The exit code of the command."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code


def check(heading: str, brought: Mapping[str, Words], looked_at: Mapping[str, Words]) -> None:
    """Raise AssertionError unless `glasshouse verify` says what the table says, in every cell."""
    found = {
        row: {column: VERDICTS[run("verify", *place, *trust)] for column, place in looked_at.items()}
        for row, trust in brought.items()
    }
    assert found == table(heading)


def signed(folder: Path, signer: Signer, version: str = "1.0.0") -> Path:
    """A release, signed."""
    synthetic_release.write(folder, version=version, weights_bytes=64)
    sign(folder, signer)
    return folder


def thief_says_active(release: Path, signer: Signer, out: Path) -> Path:
    """Word of the thief, who dates it later than any word of the owner."""
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    said = status.statement(status.of_directory(release), "active", "all is well")
    word = Status(standing="active", reason="all is well", stated_at=later)
    write_atomic(out, signer.sign(word.about(said.subjects)))
    return out


def spoken_of(before: Path, thief: Path, anew: Path, yank: Path, unsaid: Path) -> dict[str, Words]:
    """The columns of a table: a release, and what is said of it."""
    return {
        "before": (before,),
        "before, yanked": (before, "--attestation", yank),
        "before, yanked, then the thief says active": (before, "--attestation", yank, "--attestation", unsaid),
        "thief": (thief,),
        "anew": (anew,),
    }


def test_a_bare_key(tmp_path: Path) -> None:
    private = {name: write_key(tmp_path / f"{name}.pem") for name in ("old", "new", "status")}
    old, *_ = signers = [KeySigner(key) for key in private.values()]
    public = {name: tmp_path / f"{name}.pub" for name in private}
    for path, signer in zip(public.values(), signers, strict=True):
        path.write_text(signer.public_key.pem)
    before, thief = signed(tmp_path / "before", old), signed(tmp_path / "thief", old, "1.0.2")
    synthetic_release.write(tmp_path / "anew", version="1.0.1", weights_bytes=64)
    assert run("release", "sign", tmp_path / "anew", "--key", private["new"]) == 0
    say = ("release", "status", before, "--say", "yanked", "--reason", "signed with a stolen key")
    yanks = tmp_path / "yanks"  # by each key that may speak of it
    yanks.mkdir()
    for name in ("old", "status"):
        assert run(*say, "--key", private[name], "--output", yanks / f"{name}.sigstore.json") == 0
    unsaid = thief_says_active(before, old, tmp_path / "active")
    columns = spoken_of(before, thief, tmp_path / "anew", yanks, unsaid)
    policy = tmp_path / "policy.json"
    rules = {name: {"kind": "key", "pem": path.read_text()} for name, path in public.items()}
    policy.write_text(
        json.dumps({"signers": [rules["old"]], "status": {"maxAgeDays": 30, "signers": [rules["status"]]}})
    )
    rows: dict[str, Words] = {
        "the old key": ("--key", public["old"]),
        "the old key, and another for the status": ("--policy", policy),
        "the new key": ("--key", public["new"]),
    }
    check("A bare key", rows, columns)


def test_a_certificate(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    site, clock = Authority(tmp_path / "site"), TimestampAuthority(tmp_path / "tsa")
    stolen, fresh = site.issue("stolen"), site.issue("fresh")
    earlier, later = (StandingClock(clock, now + shift) for shift in (-timedelta(hours=2), timedelta(0)))
    columns: dict[str, Words] = {
        "before, with timestamps": (signed(tmp_path / "stamped", stolen.stamped(earlier)),),
        "before, without": (signed(tmp_path / "bare", stolen.signer),),
        "thief": (signed(tmp_path / "thief", stolen.stamped(later), "1.0.2"),),
        "anew": (tmp_path / "anew",),
    }
    synthetic_release.write(tmp_path / "anew", version="1.0.1", weights_bytes=64)
    by = ("--key", fresh.key, "--certificate", fresh.certificate, "--certificate-chain", fresh.chain)
    assert run("release", "sign", tmp_path / "anew", *by) == 0
    root = revoking(site.root, site.root_key, {}, begin=now - DAY, end=now + DAY)
    ended = revoking(site.issuing, site.issuing_key, {}, begin=now - 3 * DAY, end=now - DAY)
    newest = revoking(
        site.issuing,
        site.issuing_key,
        {stolen.own: now},
        begin=now - timedelta(minutes=1),
        end=now + DAY,
        known=now - timedelta(hours=1),
    )
    lists = {"root": root, "ended": ended, "newest": newest}
    crl = {name: tmp_path / f"{name}.crl" for name in lists}
    for name, path in crl.items():
        path.write_text(revocation.pem(lists[name]))
    (tmp_path / "tsa.pem").write_text(root_pem(clock))
    authority: Words = ("--identity", SIGNER, "--ca", site.root_path)
    listed: Words = (*authority, "--crl", crl["root"], "--crl", crl["newest"])
    rows: dict[str, Words] = {
        "the authority": authority,
        "the authority, and a list that has ended": (*authority, "--crl", crl["root"], "--crl", crl["ended"]),
        "the authority, and its new list": listed,
        "the authority, its new list, and the timestamp authority": (*listed, "--timestamp-ca", tmp_path / "tsa.pem"),
    }
    check("A certificate", rows, columns)


def test_a_sigstore_identity(tmp_path: Path, sigstore: SigstoreInstance) -> None:
    old = SigstoreSigner(sigstore.trust_config_path, identity_token=sigstore.token(OLD))
    before, thief = signed(tmp_path / "before", old), signed(tmp_path / "thief", old, "1.0.2")
    synthetic_release.write(tmp_path / "anew", version="1.0.1", weights_bytes=64)
    trust: Words = ("--trust-config", sigstore.trust_config_path)
    anew: Words = ("--identity-token", sigstore.token(NEW), *trust)
    assert run("release", "sign", tmp_path / "anew", *anew) == 0
    say = ("release", "status", before, "--say", "yanked", "--reason", "signed by a thief")
    assert run(*say, "--identity-token", sigstore.token(OLD), *trust, "--output", tmp_path / "yank") == 0
    said = int(time.time())
    while int(time.time()) == said:  # the log counts in seconds, and what the thief dates does not count
        time.sleep(0.05)
    unsaid = thief_says_active(before, old, tmp_path / "active")
    columns = spoken_of(before, thief, tmp_path / "anew", tmp_path / "yank", unsaid)
    rows: dict[str, Words] = {
        f"the {name} identity": ("--identity", who, "--issuer", ISSUER, "--trusted-root", sigstore.trusted_root_path)
        for name, who in (("old", OLD), ("new", NEW))
    }
    check("A Sigstore identity", rows, columns)
