"""The Sigstore instance: it declines what the real services decline, and a second start continues the first."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry import merkle
from registry.attest.signature import SignedByIdentity
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.verifier import Verifier
from tests.registry.attest.conftest import MAINTAINER, POLICY, STATEMENT
from tests.sigstore_instance import ISSUER, SigstoreInstance


def _request(*, curve: ec.EllipticCurve | None = None, broken: bool = False) -> dict[str, str]:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    raw = bytearray(csr.public_bytes(serialization.Encoding.DER))
    if broken:
        raw[-1] ^= 1
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.b64encode(raw).decode()}\n-----END CERTIFICATE REQUEST-----\n"
    return {"certificateSigningRequest": base64.b64encode(pem.encode()).decode()}


def _post(instance: SigstoreInstance, path: str, body: Any, token: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(f"{instance.url}{path}", json=body, headers=headers, timeout=60)


def test_a_certificate_is_issued_to_the_token_s_identity(instance: SigstoreInstance) -> None:
    answer = _post(instance, "/api/v2/signingCert", _request(), instance.token(MAINTAINER))
    chain = answer.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert answer.status_code == 200
    assert len(chain) == 3
    assert names.critical
    assert names.value.get_values_for_type(x509.RFC822Name) == [MAINTAINER]


@pytest.mark.parametrize(
    "token", [{"audience": "other"}, {"lifetime": -1}, None], ids=["wrong audience", "expired", "none"]
)
def test_a_bad_token_gets_no_certificate(instance: SigstoreInstance, token: dict[str, Any] | None) -> None:
    shown = "" if token is None else instance.token(MAINTAINER, **token)
    assert _post(instance, "/api/v2/signingCert", _request(), shown).status_code == 401


@pytest.mark.parametrize(
    "request_body",
    [
        _request(broken=True),
        _request(curve=ec.SECP384R1()),
        {"certificateSigningRequest": base64.b64encode(b"nonsense").decode()},
        {"certificateSigningRequest": "*"},
        {},
        [],
    ],
)
def test_a_bad_signing_request_gets_no_certificate(instance: SigstoreInstance, request_body: Any) -> None:
    assert _post(instance, "/api/v2/signingCert", request_body, instance.token(MAINTAINER)).status_code == 400


def test_a_subject_that_is_no_name_gets_no_certificate(instance: SigstoreInstance) -> None:
    token = instance.token("pröbe@exämple.org")
    assert _post(instance, "/api/v2/signingCert", _request(), token).status_code == 400


def _entry(instance: SigstoreInstance, bundle: bytes, *, version: int, flip: bool) -> requests.Response:
    """Submit a bundle's envelope or digest once more, its signature altered where `flip` says so."""
    document = json.loads(bundle)
    envelope = document["dsseEnvelope"]
    certificate = x509.load_der_x509_certificate(
        base64.b64decode(document["verificationMaterial"]["certificate"]["rawBytes"])
    )
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    signature[-1] ^= flip
    sig = base64.b64encode(signature).decode()
    if version == 2:
        body = json.loads(base64.b64decode(document["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"]))
        record = body["spec"]["hashedRekordV002"]
        record["signature"]["content"] = sig
        wanted = {"digest": record["data"]["digest"], "signature": record["signature"]}
        return _post(instance, "/api/v2/log/entries", {"hashedRekordRequestV002": wanted})
    envelope["signatures"][0]["sig"] = sig
    verifier = base64.b64encode(certificate.public_bytes(serialization.Encoding.PEM)).decode()
    proposed = {"envelope": json.dumps(envelope), "verifiers": [verifier]}
    entry = {"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent": proposed}}
    return _post(instance, "/api/v1/log/entries", entry)


@pytest.mark.parametrize("version", [1, 2])
def test_the_log_takes_only_signatures_that_verify(
    instance: SigstoreInstance, bundles: dict[str, bytes], version: int
) -> None:
    assert _entry(instance, bundles[f"rekor{version}"], version=version, flip=False).status_code == 201
    assert _entry(instance, bundles[f"rekor{version}"], version=version, flip=True).status_code == 400


@pytest.mark.parametrize("path", ["/api/v1/log/entries", "/api/v2/log/entries", "/api/v1/timestamp"])
@pytest.mark.parametrize("body", [{}, [], "x", {"kind": "rpm", "apiVersion": "0.0.1"}, {"hashedRekordRequestV002": 1}])
def test_malformed_submissions_are_declined(instance: SigstoreInstance, path: str, body: Any) -> None:
    assert _post(instance, path, body).status_code == 400


def test_what_is_not_served_is_not_found(instance: SigstoreInstance) -> None:
    assert _post(instance, "/api/v1/other", {}).status_code == 404


def test_a_second_start_is_the_same_instance(tmp_path: Path) -> None:
    def sign(running: SigstoreInstance) -> bytes:
        token = running.token(MAINTAINER)
        return SigstoreSigner(running.trust_config_path, identity_token=token).sign(STATEMENT)

    with SigstoreInstance.start(tmp_path) as first:
        url, root, before = first.url, first.trusted_root_path.read_bytes(), sign(first)
    with (tmp_path / "rekor1.log").open("ab") as torn:
        torn.write(b'{"half of an ent')
    with SigstoreInstance.start(tmp_path) as second:
        assert second.url == url
        assert second.trusted_root_path.read_bytes() == root
        after = sign(second)
        verifier = Verifier(POLICY, second.trusted_root_path)
    signers = [verifier.verify(bundle).signer for bundle in (before, after)]
    assert [signer.log_index for signer in signers if isinstance(signer, SignedByIdentity)] == [0, 1]


def test_the_log_is_one_tree(tmp_path: Path) -> None:
    with SigstoreInstance.start(tmp_path) as running:
        signer = SigstoreSigner(running.trust_config_path, identity_token=running.token(MAINTAINER))
        entries = [json.loads(signer.sign(STATEMENT))["verificationMaterial"]["tlogEntries"][0] for _ in range(5)]
    leaves = [base64.b64decode(entry["canonicalizedBody"]) for entry in entries]
    proofs = [entry["inclusionProof"] for entry in entries]
    roots = [base64.b64decode(proof["rootHash"]).hex() for proof in proofs]
    assert roots == [merkle.root(leaves[: count + 1]) for count in range(5)]
    paths = [[base64.b64decode(node).hex() for node in proof.get("hashes", [])] for proof in proofs]
    assert paths == [merkle.proof(leaves[: count + 1], count) for count in range(5)]


def test_two_processes_do_not_serve_one_folder(tmp_path: Path) -> None:
    with (
        SigstoreInstance.start(tmp_path),
        pytest.raises(RuntimeError, match="another instance"),
        SigstoreInstance.start(tmp_path),
    ):
        pass


def test_the_command_serves_and_mints_tokens(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.sigstore_instance"]
    root = Path(__file__).parents[3]
    with subprocess.Popen([*command, "--folder", str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            assert "prove nothing outside this machine" in server.stdout.readline()
            assert "is ready" in server.stdout.readline()
            options = ["token", "--folder", str(tmp_path), "--identity", MAINTAINER]
            token = subprocess.run([*command, *options], cwd=root, capture_output=True, text=True, check=True).stdout
            bundle = SigstoreSigner(tmp_path / "trust-config.json", identity_token=token).sign(STATEMENT)
        finally:
            server.terminate()
        assert server.wait(timeout=60) == 0
    signer = Verifier(POLICY, tmp_path / "trusted-root.json").verify(bundle).signer
    assert isinstance(signer, SignedByIdentity)
    assert signer.issuer == ISSUER
