"""The timestamp authority: signs that a digest existed at a time.

Source: RFC 3161 (the protocol), RFC 5652 (the signed data), RFC 5816 (the certificate's digest as an attribute).
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.sigstore_instance.ca import authority
from tests.sigstore_instance.errors import Rejected
from tests.sigstore_instance.keys import der, kept_chain, kept_key

POLICY = "1.3.6.1.4.1.57264.2"
DIGEST_BYTES = {"sha256": 32, "sha384": 48, "sha512": 64}


class TimestampAuthority:
    """A root and the certificate under it that signs the timestamps."""

    def __init__(self, folder: Path) -> None:
        root_key, self._key = kept_key(folder / "tsa-root.key"), kept_key(folder / "tsa.key")
        root = authority("tsa-root", root_key, None, root_key)
        leaf = authority("tsa", self._key, root, root_key, ExtendedKeyUsageOID.TIME_STAMPING)
        self.chain = kept_chain(folder / "tsa.pem", leaf, root)
        """The signing certificate, then the root."""

    def answer(self, query: bytes, *, at: datetime | None = None, accuracy: int = 0) -> bytes:
        """The DER TimeStampResp to a DER TimeStampReq. Raises Rejected for a request it cannot vouch for.

        at: the time that it signs, if not the clock's; accuracy: by how many seconds that may be off.
        """
        try:
            request = tsp.TimeStampReq.load(query, strict=True)
            imprint = request["message_imprint"]
            algorithm = imprint["hash_algorithm"]["algorithm"].native
            fits = len(imprint["hashed_message"].native) == DIGEST_BYTES.get(algorithm)
            nonce, certificate_wanted = request["nonce"].native, request["cert_req"].native
        except (ValueError, TypeError, KeyError) as problem:
            raise Rejected(400, f"the timestamp request is malformed: {problem}") from problem
        if not fits:
            raise Rejected(400, f"a digest of {algorithm} with its full length is expected")
        now = at or datetime.now(UTC)
        info = {
            "version": 1,
            "policy": POLICY,
            "message_imprint": imprint,
            "serial_number": int.from_bytes(os.urandom(8), "big"),
            "gen_time": now,
        }
        if accuracy:
            info["accuracy"] = {"seconds": accuracy}
        if nonce is not None:
            info["nonce"] = nonce
        token = self._signed(tsp.TSTInfo(info).dump(), now, with_certificate=certificate_wanted)
        response = {
            "status": {"status": "granted"},
            "time_stamp_token": {"content_type": "signed_data", "content": token},
        }
        return bytes(tsp.TimeStampResp(response).dump())

    def _signed(self, info: bytes, now: datetime, *, with_certificate: bool) -> Any:
        certificate = asn1_x509.Certificate.load(der(self.chain[0]))
        own_digest = {
            "certs": [
                {
                    "hash_algorithm": {"algorithm": "sha256"},
                    "cert_hash": hashlib.sha256(der(self.chain[0])).digest(),
                }
            ]
        }
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "signing_time", "values": [cms.Time({"utc_time": now.replace(microsecond=0)})]},
                {"type": "message_digest", "values": [hashlib.sha256(info).digest()]},
                {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2(own_digest)]},
            ]
        )
        signer = {
            "version": "v1",
            "sid": {
                "issuer_and_serial_number": {
                    "issuer": certificate.issuer,
                    "serial_number": certificate.serial_number,
                }
            },
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": self._key.sign(attributes.dump()),
        }
        return cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(info)},
                "signer_infos": [signer],
                **({"certificates": [certificate]} if with_certificate else {}),
            }
        )
