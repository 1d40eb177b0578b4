"""What a client must be given: the trusted root, and where the services are.

Source: sigstore/protobuf-specs, protos/sigstore_trustroot.proto.
"""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509

from tests.sigstore_instance.keys import SigningKey, der
from tests.sigstore_instance.log import TransparencyLog

NAME = "https://sigstore-instance.test"
"""Stands where a trusted root names its services. It is no address, so the root is the same at every start."""
VALID = {"start": "2020-01-01T00:00:00Z"}


def trusted_root(
    *,
    logs: list[TransparencyLog],
    certificate_log: SigningKey,
    fulcio: list[x509.Certificate],
    tsa: list[x509.Certificate],
) -> dict[str, Any]:
    """The keys and certificates that a verifier needs, and all it needs."""
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [_log(log.key) for log in logs],
        "certificateAuthorities": [_authority(fulcio)],
        "ctlogs": [_log(certificate_log)],
        "timestampAuthorities": [_authority(tsa)],
    }


def trust_config(root: dict[str, Any], url: str, *, rekor: int) -> dict[str, Any]:
    """The root with the addresses that a signer needs. Rekor 2 entries carry no time: they need the timestamps."""
    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": root,
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [_service(url, 1)],
            "oidcUrls": [_service(url, 1)],
            "rekorTlogUrls": [_service(url, rekor)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [_service(f"{url}/api/v1/timestamp", 1)] if rekor == 2 else [],
            "tsaConfig": {"selector": "ANY"},
        },
    }


def _service(url: str, version: int) -> dict[str, Any]:
    return {"url": url, "majorApiVersion": version, "validFor": VALID, "operator": "sigstore-instance.test"}


def _log(key: SigningKey) -> dict[str, Any]:
    return {
        "baseUrl": NAME,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": base64.b64encode(key.spki).decode(),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": VALID,
        },
        "logId": {"keyId": base64.b64encode(key.id).decode()},
    }


def _authority(chain: list[x509.Certificate]) -> dict[str, Any]:
    return {
        "subject": {"organization": "throwaway Sigstore instance", "commonName": "sigstore-instance.test"},
        "uri": NAME,
        "certChain": {"certificates": [{"rawBytes": base64.b64encode(der(c)).decode()} for c in chain]},
        "validFor": VALID,
    }
