"""Rekor, versions 1 and 2: checks what is submitted, appends it to a log, and answers with the proof.

Source: sigstore/rekor, openapi.yaml and pkg/types/{dsse,hashedrekord}; sigstore/rekor-tiles, CLIENTS.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from registry import canonical
from tests.sigstore_instance.errors import Rejected
from tests.sigstore_instance.log import TransparencyLog

MALFORMED = (KeyError, IndexError, TypeError, AttributeError, ValueError, binascii.Error)
"""What reaching into a submission of the wrong shape raises."""


class RekorV1:
    """Entries of kind dsse and hashedrekord, each with a signed entry timestamp."""

    def __init__(self, log: TransparencyLog) -> None:
        self.log = log

    def submit(self, entry: Any) -> dict[str, Any]:
        """Log `entry` and answer {uuid: entry}. Raises Rejected where its signature does not verify."""
        try:
            match entry["kind"], entry["apiVersion"]:
                case "dsse", "0.0.1":
                    body = canonical.dumps(_dsse_body(entry["spec"]["proposedContent"]))
                case "hashedrekord", "0.0.1":
                    _check_hashedrekord(entry["spec"])
                    body = canonical.dumps(entry)
                case kind, version:
                    raise Rejected(400, f"entries of kind {kind} {version} are not taken")
        except MALFORMED as problem:
            raise Rejected(400, f"the entry is malformed: {problem!r}") from problem
        return self._answer(body)

    def _answer(self, body: bytes) -> dict[str, Any]:
        inclusion = self.log.append(body)
        promised = {
            "body": base64.b64encode(body).decode(),
            "integratedTime": int(time.time()),
            "logID": self.log.key.id.hex(),
            "logIndex": inclusion.index,
        }
        return {
            hashlib.sha256(b"\x00" + body).hexdigest(): {
                **promised,
                "verification": {
                    "signedEntryTimestamp": base64.b64encode(self.log.key.sign(canonical.dumps(promised))).decode(),
                    "inclusionProof": {
                        "logIndex": inclusion.index,
                        "treeSize": inclusion.tree_size,
                        "rootHash": inclusion.root,
                        "hashes": inclusion.path,
                        "checkpoint": inclusion.checkpoint,
                    },
                },
            }
        }


class RekorV2:
    """Entries of kind hashedrekord 0.0.2. They carry no time of their own: a timestamp authority must give it."""

    def __init__(self, log: TransparencyLog) -> None:
        self.log = log

    def submit(self, request: Any) -> dict[str, Any]:
        """Log the request and answer the transparency log entry. Raises Rejected as version 1 does."""
        try:
            wanted = request["hashedRekordRequestV002"]
            signature, digest = wanted["signature"], _base64(wanted["digest"])
            if signature["verifier"]["keyDetails"] != "PKIX_ECDSA_P256_SHA_256":
                raise Rejected(400, "only P-256 signatures over SHA-256 are taken")
            certificate = x509.load_der_x509_certificate(_base64(signature["verifier"]["x509Certificate"]["rawBytes"]))
            _verify_digest(certificate, _base64(signature["content"]), digest)
            record = {"data": {"algorithm": "SHA2_256", "digest": wanted["digest"]}, "signature": signature}
        except MALFORMED as problem:
            raise Rejected(400, f"the entry is malformed: {problem!r}") from problem
        return self._answer(
            canonical.dumps({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": record}})
        )

    def _answer(self, body: bytes) -> dict[str, Any]:
        inclusion = self.log.append(body)
        return {
            "logIndex": str(inclusion.index),
            "logId": {"keyId": base64.b64encode(self.log.key.id).decode()},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "integratedTime": "0",
            "canonicalizedBody": base64.b64encode(body).decode(),
            "inclusionProof": {
                "logIndex": str(inclusion.index),
                "rootHash": base64.b64encode(bytes.fromhex(inclusion.root)).decode(),
                "treeSize": str(inclusion.tree_size),
                "hashes": [base64.b64encode(bytes.fromhex(node)).decode() for node in inclusion.path],
                "checkpoint": {"envelope": inclusion.checkpoint},
            },
        }


def _dsse_body(proposed: dict[str, Any]) -> dict[str, Any]:
    """What version 1 keeps of an envelope: digests, signatures and verifiers. Each signature is verified."""
    envelope = json.loads(proposed["envelope"])
    payload, payload_type = _base64(envelope["payload"]), envelope["payloadType"]
    signed = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
    for signature, verifier in zip(envelope["signatures"], proposed["verifiers"], strict=True):
        certificate = x509.load_pem_x509_certificate(_base64(verifier))
        _verify_digest(certificate, _base64(signature["sig"]), hashlib.sha256(signed).digest())
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": _sha256(proposed["envelope"].encode()),
            "payloadHash": _sha256(payload),
            "signatures": [
                {"signature": signature["sig"], "verifier": verifier}
                for signature, verifier in zip(envelope["signatures"], proposed["verifiers"], strict=True)
            ],
        },
    }


def _check_hashedrekord(spec: dict[str, Any]) -> None:
    signature, digest = spec["signature"], spec["data"]["hash"]
    if digest["algorithm"] != "sha256":
        raise Rejected(400, f"the digest must be sha256, found {digest['algorithm']}")
    certificate = x509.load_pem_x509_certificate(_base64(signature["publicKey"]["content"]))
    _verify_digest(certificate, _base64(signature["content"]), bytes.fromhex(digest["value"]))


def _verify_digest(certificate: x509.Certificate, signature: bytes, digest: bytes) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Rejected(400, "only elliptic-curve certificates are taken")
    try:
        key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature as problem:
        raise Rejected(400, "the signature does not verify with the certificate") from problem


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
