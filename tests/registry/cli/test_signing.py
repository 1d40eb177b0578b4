"""The command's own ways of signing and verifying, with files that openssl made, and in a world without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from registry.attest.localkey import KeySigner
from registry.cli.verify import Verifying
from registry.errors import InputError
from registry.release.signing import sign
from tests import synthetic_release
from tests.authority import DAY, SIGNER, Authority, StandingClock, revoking, root_pem
from tests.sigstore_instance import SigstoreInstance
from tests.sigstore_instance.tsa import TimestampAuthority

BIN = Path(sys.executable).parent
GLASSHOUSE = str(BIN / "glasshouse")
BEGIN = datetime.now(UTC).replace(microsecond=0) - DAY
PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "sign.md"


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a signer's certificate and the list that it was revoked, as docs/how-to/sign.md has openssl make
    them."""
    folder = tmp_path_factory.mktemp("openssl")
    typed = [line.removeprefix("$ ") for line in PAGE.read_text().splitlines() if line.startswith("$ ")]
    assert len(typed) == 10
    for line in typed:
        subprocess.run(line, shell=True, cwd=folder, check=True, capture_output=True)  # noqa: S602 - our own page
    return folder


@pytest.fixture(scope="module")
def signed(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that the command signed by that certificate."""
    folder = tmp_path_factory.mktemp("by-certificate") / "release"
    synthetic_release.write(folder)
    done = run(
        GLASSHOUSE, "release", "sign", folder, "--key", files / "signer.key", "--certificate", files / "signer.pem"
    )
    assert done.returncode == 0 and SIGNER in done.stdout, done.stderr
    return folder


def test_a_certificate_signs_a_release_that_its_authority_s_friends_verify(files: Path, signed: Path) -> None:
    done = run(GLASSHOUSE, "verify", signed, "--identity", SIGNER, "--ca", files / "ca.pem", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (0, "PASS")
    signatures = [check for check in report["checks"] if check["name"] == "signatures"]
    assert len(signatures) >= 5 and all("no transparency log" in check["reason"] for check in signatures)
    stock = (BIN / "model_signing", "verify", "certificate", signed, "--signature", signed / "model.sig")
    assert run(*stock, "--certificate_chain", files / "ca.pem").returncode == 0


def test_a_list_that_names_the_certificate_ends_what_it_signed(files: Path, signed: Path, tmp_path: Path) -> None:
    asked = (GLASSHOUSE, "verify", signed, "--identity", SIGNER, "--ca", files / "ca.pem", "--crl")
    done = run(*asked, files / "ca.crl", "--json")
    (first, *_) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "signatures"]
    assert done.returncode == 1 and "was revoked on" in first["reason"] and "keyCompromise" in first["reason"]
    other = Authority(tmp_path)
    silent = revoking(other.issuing, other.issuing_key, {}, begin=BEGIN, end=BEGIN + 2 * DAY)
    (tmp_path / "other.crl").write_bytes(silent.public_bytes(Encoding.DER))
    done = run(*asked, tmp_path / "other.crl", "--json")
    (first, *_) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "signatures"]
    assert done.returncode == 3 and "no revocation list tells" in first["reason"]
    assert run(*asked, tmp_path / "other.crl", "--strict").returncode == 1


def test_a_timestamp_is_asked_for_and_tells_when(files: Path, sigstore: SigstoreInstance, tmp_path: Path) -> None:
    folder, root = tmp_path / "release", tmp_path / "tsa.pem"
    synthetic_release.write(folder)
    root.write_text(root_pem(sigstore.services.tsa))
    by_key = ("release", "sign", folder, "--key", files / "signer.key", "--timestamp-url")
    done = run(GLASSHOUSE, *by_key, f"{sigstore.url}/nowhere")
    assert done.returncode == 3 and "HTTP status 404" in done.stderr and not (folder / "model.sig").exists()
    url = f"{sigstore.url}/api/v1/timestamp"
    subprocess.run(["openssl", "ec", "-in", files / "signer.key", "-pubout", "-out", tmp_path / "key.pem"], check=True)
    for how, expected in (
        (("--certificate", files / "signer.pem"), ("--identity", SIGNER, "--ca", files / "ca.pem")),
        ((), ("--key", tmp_path / "key.pem")),
    ):
        assert run(GLASSHOUSE, *by_key, url, *how).returncode == 0
        for option, words in ((("--timestamp-ca", root), True), ((), False)):
            done = run(GLASSHOUSE, "verify", folder, *expected, *option, "--json")
            reasons = [c["reason"] for c in json.loads(done.stdout)["checks"] if c["name"] == "signatures"]
            assert done.returncode == 0 and all(("stamped" in reason) is words for reason in reasons)


def test_what_was_stamped_verifies_when_its_certificate_has_ended(tmp_path: Path) -> None:
    """By the clock: the certificate ended an hour ago, and the stamp is from before."""
    folder, site, clock = tmp_path / "release", Authority(tmp_path / "site"), TimestampAuthority(tmp_path / "tsa")
    ended = site.issue(begin=BEGIN + timedelta(hours=1), end=BEGIN + timedelta(hours=23))
    synthetic_release.write(folder)
    sign(folder, ended.forged(stamps=StandingClock(clock, BEGIN + timedelta(hours=20))))
    (tmp_path / "tsa.pem").write_text(root_pem(clock))
    asked = (GLASSHOUSE, "verify", folder, "--identity", SIGNER, "--ca", site.root_path)
    assert run(*asked, "--timestamp-ca", tmp_path / "tsa.pem").returncode == 0
    done = run(*asked, "--json")
    (first, *_) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "signatures"]
    assert done.returncode == 1 and "no timestamp shows that it signed" in first["reason"]


def test_a_policy_names_a_certificate_s_holder(files: Path, signed: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    rule = {"kind": "certificate", "identity": SIGNER, "authorities": (files / "ca.pem").read_text()}
    for identity, code in ((SIGNER, 0), (SIGNER[:-1], 1)):
        policy.write_text(json.dumps({"signers": [rule | {"identity": identity}]}))
        assert run(GLASSHOUSE, "verify", signed, "--policy", policy).returncode == code


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--ca", "ca.pem"), 2, "whoever vouches for it"),
        (("--identity", SIGNER), 2, "whoever vouches for it"),
        (("--identity", SIGNER, "--ca", "signer.key"), 2, "certificates in PEM"),
        (("--identity", SIGNER, "--ca", "missing"), 2, "cannot be read"),
        (("--identity", SIGNER, "--ca", "ca.pem", "--policy", "ca.pem"), 2, "--policy says who may sign"),
        (("--identity", SIGNER, "--ca", "ca.pem", "--crl", "ca.pem"), 2, "not a list that can be used"),
        (("--identity", SIGNER, "--ca", "ca.pem", "--timestamp-ca", "missing"), 2, "cannot be read"),
        (("--identity", SIGNER, "--issuer", "https://issuer.test", "--crl", "missing"), 2, "--crl is of an authority"),
        (("--identity", SIGNER, "--issuer", "https://issuer.test", "--timestamp-ca", "ca.pem"), 2, "or a key's"),
        (("--identity", f"{SIGNER}x", "--ca", "ca.pem"), 1, SIGNER),
        (("--identity", SIGNER, "--ca", "signer.pem"), 1, "no authority that the policy names"),
    ],
)
def test_who_is_expected_is_said_whole_or_not_at_all(
    files: Path, signed: Path, options: Sequence[str], code: int, words: str
) -> None:
    placed = [str(files / word) if word.endswith((".pem", ".key", "missing")) else word for word in options]
    done = run(GLASSHOUSE, "verify", signed, *placed)
    assert done.returncode == code and words in " ".join((done.stdout + done.stderr).split()), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--certificate", "signer.pem"), "nothing without its key"),
        (("--key", "signer.key", "--certificate-chain", "ca.pem"), "leads up from a certificate"),
        (("--key", "ca.key", "--certificate", "signer.pem"), "not the certificate of the key"),
        (("--key", "ca.key", "--certificate", "ca.pem"), "an authority's certificate"),
        (("--key", "signer.key", "--trust-config", "ca.pem"), "--key signs without Sigstore"),
        (("--timestamp-url", "https://timestamp.test"), "--timestamp-url is for --key"),
        (("--key", "signer.key", "--timestamp-url", "timestamp.test"), "not the address of a timestamp authority"),
    ],
)
def test_options_that_do_not_fit_together_sign_nothing(
    files: Path, signed: Path, tmp_path: Path, options: Sequence[str], words: str
) -> None:
    folder = Path(shutil.copytree(signed, tmp_path / "release"))
    before = (folder / "model.sig").read_bytes()
    placed = [str(files / word) if word.endswith((".pem", ".key")) else word for word in options]
    done = run(GLASSHOUSE, "release", "sign", folder, *placed)
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert (folder / "model.sig").read_bytes() == before


@pytest.mark.parametrize(
    "flags",
    [
        {"identity": "a@b.test", "issuer": "https://issuer.test", "key": ""},
        {"identity": "a@b.test", "key": ""},
        {"issuer": "https://issuer.test", "key": ""},
        {"ca": "", "key": ""},
        {"identity": "a@b.test", "ca": "", "issuer": "https://issuer.test", "key": ""},
    ],
)
def test_flags_that_name_two_signers_are_a_usage_error_and_not_either_of_them(
    files: Path, signed: Path, tmp_path: Path, flags: dict[str, str]
) -> None:
    """With --key alone the release would pass: whoever names an identity, too, does not mean that."""
    (tmp_path / "public.pem").write_text(KeySigner(files / "signer.key").public_key.pem)
    given = {"key": tmp_path / "public.pem", "ca": files / "ca.pem"}
    options = {name: given.get(name, value) for name, value in flags.items()}
    with pytest.raises(InputError, match="name more than one signer, and flags name one"):
        Verifying(**options).verifier()  # type: ignore[arg-type]
    if len(flags) == 3:
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        for command in (("verify",), ("audit", "rebuild")):
            done = run(GLASSHOUSE, *command, signed, *words)
            assert done.returncode == 2 and "name more than one signer" in done.stderr
