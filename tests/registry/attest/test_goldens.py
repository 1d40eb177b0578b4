"""What was signed once verifies for ever: bundles whose certificates expired ten minutes after they were made."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from registry.attest import oms
from registry.attest.policy import CertificateHolder, Policy, PublicKey, SigstoreIdentity
from registry.attest.signature import SignedByIdentity
from registry.attest.verifier import Verifier
from registry.digest import sha256_bytes
from registry.errors import SignatureError
from tests.authority import SIGNER
from tests.registry.attest.conftest import MAINTAINER
from tests.registry.attest.make_goldens import FILES, statement
from tests.sigstore_instance import ISSUER

VERSIONS = sorted((Path(__file__).parent / "goldens").glob("v*"))
ANYBODY_KNOWN = SigstoreIdentity(identity=MAINTAINER, issuer=ISSUER)


@pytest.mark.parametrize("golden", VERSIONS, ids=lambda path: path.name)
@pytest.mark.parametrize("name", ["rekor1", "rekor2", "key"])
def test_a_golden_bundle_verifies(golden: Path, name: str) -> None:
    policy = Policy(signers=(ANYBODY_KNOWN, PublicKey(pem=(golden / "public.pem").read_text())))
    verified = Verifier(policy, golden / "trusted-root.json").verify((golden / f"{name}.sigstore.json").read_bytes())
    assert verified.statement.to_bytes() == (golden / "statement.json").read_bytes()


@pytest.mark.parametrize("golden", VERSIONS[1:], ids=lambda path: path.name)
def test_a_golden_of_a_certificate_verifies_as_long_as_that_lasts(golden: Path) -> None:
    bundle = (golden / "certificate.sigstore.json").read_bytes()
    rows = json.loads(bundle)["verificationMaterial"]["x509CertificateChain"]["certificates"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(rows[0]["rawBytes"]))
    policy = Policy(signers=(CertificateHolder(identity=SIGNER, authorities=(golden / "ca.pem").read_text()),))
    verified = Verifier(policy, now=certificate.not_valid_after_utc).verify(bundle)
    assert verified.statement.to_bytes() == (golden / "statement.json").read_bytes()
    with pytest.raises(SignatureError, match="no timestamp"):
        Verifier(policy, now=certificate.not_valid_after_utc + timedelta(days=1)).verify(bundle)


@pytest.mark.parametrize("golden", VERSIONS[2:], ids=lambda path: path.name)
def test_a_golden_with_a_timestamp_verifies_for_ever(golden: Path) -> None:
    stampers = (golden / "timestamp-ca.pem").read_text()
    ca, public = ((golden / name).read_text() for name in ("ca.pem", "public.pem"))
    rules = (
        CertificateHolder(identity=SIGNER, authorities=ca, timestamp_authorities=stampers),
        PublicKey(pem=public, timestamp_authorities=stampers),
    )
    verifier = Verifier(Policy(signers=rules), now=datetime(2999, 1, 1, tzinfo=UTC))
    for rule, name in enumerate(("stamped.sigstore.json", "stamped-key.sigstore.json")):
        verified = verifier.verify((golden / name).read_bytes())
        assert verified.statement.to_bytes() == (golden / "statement.json").read_bytes()
        assert verified.rule == rule and verified.signer.signed_at is not None
    with pytest.raises(SignatureError, match="no timestamp shows"):
        verifier.verify((golden / "certificate.sigstore.json").read_bytes())


@pytest.mark.parametrize("golden", VERSIONS, ids=lambda path: path.name)
def test_a_golden_model_signature_verifies(golden: Path) -> None:
    verifier = Verifier(Policy(signers=(ANYBODY_KNOWN,)), golden / "trusted-root.json")
    _, covered = oms.verify((golden / "model.sig").read_bytes(), verifier)
    assert covered.files == {path: sha256_bytes(content) for path, content in FILES.items()}


@pytest.mark.parametrize("golden", VERSIONS, ids=lambda path: path.name)
@pytest.mark.parametrize("name", ["rekor1", "rekor2"])
def test_it_is_the_logged_time_that_counts(golden: Path, name: str) -> None:
    bundle = (golden / f"{name}.sigstore.json").read_bytes()
    raw = json.loads(bundle)["verificationMaterial"]["certificate"]["rawBytes"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(raw))
    signer = Verifier(Policy(signers=(ANYBODY_KNOWN,)), golden / "trusted-root.json").verify(bundle).signer
    assert isinstance(signer, SignedByIdentity)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(minutes=10)
    assert certificate.not_valid_before_utc <= signer.signed_at <= certificate.not_valid_after_utc


@pytest.mark.filterwarnings("ignore")
def test_a_certificate_that_the_library_only_warns_of_is_refused() -> None:
    golden = VERSIONS[0]
    document = json.loads((golden / "rekor1.sigstore.json").read_bytes())
    raw = bytearray(base64.b64decode(document["verificationMaterial"]["certificate"]["rawBytes"]))
    serial = x509.load_der_x509_certificate(bytes(raw)).serial_number
    raw[raw.index(serial.to_bytes(20, "big").lstrip(b"\0"))] |= 0x80  # makes it negative
    document["verificationMaterial"]["certificate"]["rawBytes"] = base64.b64encode(raw).decode()
    verifier = Verifier(Policy(signers=(ANYBODY_KNOWN,)), golden / "trusted-root.json")
    with pytest.raises(SignatureError, match="serial number which wasn't positive"):
        verifier.verify(json.dumps(document).encode())


@pytest.mark.parametrize("golden", VERSIONS, ids=lambda path: path.name)
def test_a_golden_does_not_verify_by_another_s_root(golden: Path, verifier: Verifier) -> None:
    with pytest.raises(SignatureError):
        verifier.verify((golden / "rekor1.sigstore.json").read_bytes())


def test_a_statement_s_bytes_are_the_same_in_every_version() -> None:
    assert statement().to_bytes() == (VERSIONS[-1] / "statement.json").read_bytes()
