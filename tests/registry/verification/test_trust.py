"""The first look at a repository's signers, the policy made from it, and further signers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from registry import strict_yaml
from registry.attest import x509_path
from registry.attest.certificate import CertificateSigner
from registry.attest.localkey import KeySigner
from registry.attest.policy import CertificateHolder, Policy, SigstoreIdentity
from registry.attest.signature import SignedByIdentity
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.verifier import Trust
from registry.errors import InputError, Refused
from registry.hub.client import HubClient
from registry.hub.reference import DirectoryReference, HubReference
from registry.release.publishing import publish
from registry.release.signing import sign
from registry.verification import trust
from tests import lying_hub, synthetic_release
from tests.authority import SIGNER, Authority, StandingClock, root_pem
from tests.hub_instance import HubInstance
from tests.registry.attest.conftest import write_key
from tests.registry.verification.conftest import MAINTAINER
from tests.sigstore_instance import ISSUER, SigstoreInstance
from tests.sigstore_instance.tsa import TimestampAuthority

GLASSHOUSE = str(Path(sys.executable).parent / "glasshouse")
HEIR = "heir@example.org"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([GLASSHOUSE, *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def published(sigstore: SigstoreInstance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubInstance]:
    """Three releases on a Hub that nobody else publishes to; somebody else signed the third."""
    with HubInstance.start(tmp_path_factory.mktemp("hub")) as hub:
        _publish(HubClient(hub.url, hub.token), sigstore, tmp_path_factory)
        yield hub


def _publish(client: HubClient, sigstore: SigstoreInstance, tmp_path_factory: pytest.TempPathFactory) -> None:
    for version, who in (("1.0.0", MAINTAINER), ("1.0.1", MAINTAINER), ("1.0.10", HEIR)):
        folder = tmp_path_factory.mktemp("published") / version
        synthetic_release.write(folder, version=version)
        sign(folder, SigstoreSigner(sigstore.trust_config_path, identity_token=sigstore.token(who)))
        publish(folder, client)


def test_the_history_names_every_signer_and_where_it_changed(
    published: HubInstance, sigstore: SigstoreInstance
) -> None:
    reference = HubReference(synthetic_release.REPO)
    seen = trust.history(reference, Trust(sigstore.trusted_root_path), endpoint=published.url)
    assert [sighting.name for sighting in seen.sightings] == ["v1.0.10", "v1.0.1", "v1.0.0"]
    rules = [SigstoreIdentity(identity=who, issuer=ISSUER) for who in (HEIR, MAINTAINER, MAINTAINER)]
    assert [sighting.rule for sighting in seen.sightings] == rules
    assert seen.changes == ("v1.0.10",) and seen.unseen == ()


def test_the_newest_is_seen_behind_a_thousand_older_tags(sigstore: SigstoreInstance) -> None:
    def many(request: lying_hub.Handler) -> bool:
        if request.about("refs"):
            names = [*(f"v1.{minor}.{patch}" for minor in range(10) for patch in range(100)), "v2.0.0", "zzz"]
            tags = [lying_hub.REFS["tags"][0] | {"name": name} for name in names]
            request.json(lying_hub.REFS | {"tags": tags})
        elif request.about("resolve/"):
            request.send(b"{}")
        return request.about("refs") or request.about("resolve/")

    reference = HubReference(lying_hub.REPO)
    with lying_hub.served(many) as hub:
        seen = trust.history(reference, Trust(sigstore.trusted_root_path), endpoint=hub.url)
    assert [sighting.name for sighting in seen.sightings][:2] == ["v2.0.0", "v1.9.99"]
    assert len(seen.sightings) == trust.MAX_TAGS and len(seen.unseen) == 1002 - trust.MAX_TAGS
    assert seen.unseen[-1] == "zzz"  # what is not a version comes last


def test_the_command_shows_and_pins_what_then_verifies(
    published: HubInstance, sigstore: SigstoreInstance, tmp_path: Path
) -> None:
    root = ("--trusted-root", str(sigstore.trusted_root_path), "--endpoint", published.url)
    repo = f"hf://{synthetic_release.REPO}"
    shown = json.loads(run("trust", "show", repo, *root, "--json").stdout)
    assert shown["changes"] == ["v1.0.10"] and shown["releases"][0]["signer"]["identity"] == HEIR
    assert "another signer than before" in run("trust", "show", repo, *root).stdout
    pinned = run("trust", "pin", f"{repo}@v1.0.1", *root)
    assert "trust on first use" in pinned.stdout
    policy = tmp_path / "policy.yaml"
    policy.write_text(pinned.stdout)
    assert Policy.load(policy).signers == (SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER),)
    assert run("verify", f"{repo}@v1.0.1", "--policy", str(policy), *root).returncode == 0
    assert run("verify", f"{repo}@v1.0.10", "--policy", str(policy), *root).returncode == 1


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(NAMES, NAMES, NAMES)
def test_whoever_is_pinned_is_who_is_read_back(identity: str, issuer: str, folder: str) -> None:
    expected = SigstoreIdentity(identity=identity, issuer=issuer)
    signer = SignedByIdentity(identity, issuer, "log", 0, datetime(2026, 1, 1, tzinfo=UTC))
    text = trust.pin(DirectoryReference(Path(folder)), trust.Sighting("v1.0.0", signer, expected))
    assert all(line.isprintable() for line in text.split("\n"))
    (rule,) = Policy.of(strict_yaml.parse(text.encode())).signers
    assert rule == expected


def pinned(folder: Path, policy: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`trust pin` of the release in `folder`, into the file `policy`."""
    done = run("trust", "pin", str(folder), *options)
    assert "Traceback" not in done.stderr
    policy.write_text(done.stdout)
    return done


def test_a_key_is_pinned_and_another_does_not_verify(copy: Path, tmp_path: Path) -> None:
    policy, key = tmp_path / "policy.yaml", KeySigner(write_key(tmp_path / "private.pem"))
    sign(copy, key)
    shown = run("trust", "show", str(copy))
    assert f"undated  key sha256:{key.public_key.sha256}" in shown.stdout
    assert json.loads(run("trust", "show", str(copy), "--json").stdout)["releases"][0]["signer"]["kind"] == "key"
    done = pinned(copy, policy)
    assert done.returncode == 0 and f"# Signed by key sha256:{key.public_key.sha256}, no transpar" in done.stdout
    assert Policy.load(policy).signers == (key.public_key,)
    assert run("verify", str(copy), "--policy", str(policy)).returncode == 0
    sign(copy, KeySigner(write_key(tmp_path / "other.pem")))
    assert run("verify", str(copy), "--policy", str(policy)).returncode == 1


def test_a_certificate_is_pinned_by_the_authority_that_it_brings(copy: Path, tmp_path: Path) -> None:
    policy, site = tmp_path / "policy.yaml", Authority(tmp_path / "site")
    sign(copy, site.issue().signer)
    assert f"undated  {SIGNER} (certified by CN=site-issuing" in run("trust", "show", str(copy)).stdout
    done = pinned(copy, policy)
    issuing = x509_path.pem([site.issuing])
    assert done.returncode == 0 and "# Signed by" in done.stdout
    assert Policy.load(policy).signers == (CertificateHolder(identity=SIGNER, authorities=issuing),)
    assert run("verify", str(copy), "--policy", str(policy)).returncode == 0
    boss = site.issue("boss", identity=x509.RFC822Name("boss@site.test"))
    for other in (boss, Authority(tmp_path / "other").issue()):
        sign(copy, other.signer)
        assert run("verify", str(copy), "--policy", str(policy)).returncode == 1


def test_a_certificate_is_pinned_by_the_authority_that_is_given(copy: Path, tmp_path: Path) -> None:
    """With whose timestamps count, so that it verifies when the certificate has ended."""
    policy, root, tsa = tmp_path / "policy.yaml", tmp_path / "ca.pem", TimestampAuthority(tmp_path / "tsa")
    site, now = Authority(tmp_path / "site"), datetime.now(UTC).replace(microsecond=0)
    ended = site.issue(begin=now - timedelta(hours=9), end=now - timedelta(hours=1))
    sign(copy, ended.forged(stamps=StandingClock(tsa, now - timedelta(hours=5))))
    root.write_text(root_pem(tsa))
    given = ("--ca", str(site.root_path), "--timestamp-ca", str(root))
    assert f"{now - timedelta(hours=5):%Y-%m-%d}  {SIGNER}" in run("trust", "show", str(copy), *given).stdout
    assert pinned(copy, policy, *given).returncode == 0
    rule = CertificateHolder(identity=SIGNER, authorities=site.pem, timestamp_authorities=root_pem(tsa))
    assert Policy.load(policy).signers == (rule,)
    assert run("verify", str(copy), "--policy", str(policy)).returncode == 0
    other = Authority(tmp_path / "other")
    done = pinned(copy, tmp_path / "never", "--ca", str(other.root_path))
    assert done.returncode == 2 and "does not hold" in done.stderr and not done.stdout


def test_who_cannot_be_told_is_not_pinned(copy: Path, tmp_path: Path) -> None:
    """A certificate that comes alone, and a key whose hint is another's."""
    site = Authority(tmp_path)
    plain, bundle = site.issue(), copy / "attestations/release.sigstore.json"
    sign(copy, CertificateSigner(plain.key, plain.certificate))
    done = pinned(copy, tmp_path / "never")
    assert done.returncode == 2 and "only that authority can tell" in done.stderr and "--ca" in done.stderr
    for hint in (KeySigner(write_key(tmp_path / "other.pem")).public_key.sha256, "", None):
        sign(copy, KeySigner(plain.key))
        document = json.loads(bundle.read_bytes())
        document["verificationMaterial"]["publicKey"] = {"hint": hint}
        bundle.write_text(json.dumps(document))
        done = pinned(copy, tmp_path / "never")
        assert done.returncode == 2 and "not the one that it says" in done.stderr
        assert "not the one that it says" in run("trust", "show", str(copy)).stdout


def test_a_bad_signature_is_not_pinned(release: Path, sigstore: SigstoreInstance, copy: Path) -> None:
    reference = DirectoryReference(copy)
    bundle = copy / "attestations/release.sigstore.json"
    signed = (release / "attestations/release.sigstore.json").read_bytes()
    bundle.write_bytes(signed.replace(b'"payload":"', b'"payload":"e'))
    seen = trust.sighting(reference, Trust(sigstore.trusted_root_path), endpoint=None)
    assert seen.problem is not None
    with pytest.raises(Refused):
        trust.pin(reference, seen)


def test_a_directory_without_a_release_is_no_ground_for_trust(tmp_path: Path, sigstore: SigstoreInstance) -> None:
    with pytest.raises(InputError):
        trust.history(DirectoryReference(tmp_path), Trust(sigstore.trusted_root_path), endpoint=None)


def test_a_cosigner_makes_two_of_two(copy: Path, sigstore: SigstoreInstance, tmp_path: Path) -> None:
    key = write_key(tmp_path / "private.pem")
    policy = tmp_path / "policy.json"
    signers = [
        {"kind": "identity", "identity": MAINTAINER, "issuer": ISSUER},
        {"kind": "key", "pem": KeySigner(key).public_key.pem},
    ]
    policy.write_text(json.dumps({"signers": signers, "threshold": 2}))
    asked = ("verify", str(copy), "--policy", str(policy), "--trusted-root", str(sigstore.trusted_root_path))
    assert run(*asked).returncode == 1
    out = tmp_path / "second.sigstore.json"
    cosign = ("trust", "cosign", str(copy), "--output", str(out), "--key", str(key))
    assert run(*cosign, "--dry-run").returncode == 0 and not out.exists()
    assert json.loads(run(*cosign, "--json").stdout)["bundle"] == str(out)
    assert run(*asked, "--attestation", str(out)).returncode == 0
    (copy / "config.json").write_text("{}")
    refused = run("trust", "cosign", str(copy), "--output", str(tmp_path / "never"), "--key", str(key))
    assert refused.returncode == 1 and not (tmp_path / "never").exists()
    shutil.rmtree(copy)
