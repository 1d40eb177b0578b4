"""Make the signatures in goldens/ anew: python -m tests.registry.attest.make_goldens

Only for a new format. The old ones stay beside the new, under the name of their version: what was once signed must
verify for ever.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from registry.attest import oms
from registry.attest.localkey import KeySigner
from registry.attest.sigstore.sign import SigstoreSigner
from registry.attest.statement import Statement, Subject
from registry.digest import sha256_bytes
from registry.files import write_atomic
from tests.authority import Authority, StandingClock, root_pem
from tests.registry.attest.conftest import MAINTAINER, write_key
from tests.sigstore_instance import SigstoreInstance
from tests.sigstore_instance.tsa import TimestampAuthority

GOLDENS = Path(__file__).parent / "goldens" / "v3"
FILES = {"README.md": b"# A model\n", "model.safetensors": b"\x00" * 16, "provenance/release.json": b"{}"}


def statement() -> Statement:
    """A statement with what JSON can say in its predicate."""
    predicate = {
        "text": 'é 雪 \u2028 "quoted"',
        "numbers": [0, -1, 1.5, 1e-7, 2**53 - 1],
        "nothing": None,
        "holds": True,
    }
    subjects = tuple(Subject(path, sha256_bytes(content)) for path, content in FILES.items())
    return Statement(subjects, "https://glasshouse.dev/attestation/golden/v1", predicate)


def main() -> None:
    """Sign with a new instance and a new key; keep what verifying needs, and neither private key nor log."""
    with tempfile.TemporaryDirectory() as name, SigstoreInstance.start(Path(name) / "sigstore") as instance:
        scratch = Path(name)
        private = write_key(scratch / "private.pem")
        key, site, clock = KeySigner(private), Authority(scratch / "site"), TimestampAuthority(scratch / "tsa")
        one, two = (
            SigstoreSigner(config, identity_token=instance.token(MAINTAINER))
            for config in (instance.trust_config_path, instance.trust_config_rekor2_path)
        )
        for path, content in FILES.items():
            write_atomic(scratch / "model" / path, content)
        for path, content in {
            "statement.json": statement().to_bytes(),
            "trusted-root.json": instance.trusted_root_path.read_bytes(),
            "public.pem": key.public_key.pem.encode(),
            "rekor1.sigstore.json": one.sign(statement()),
            "rekor2.sigstore.json": two.sign(statement()),
            "key.sigstore.json": key.sign(statement()),
            "ca.pem": site.root_path.read_bytes(),
            "certificate.sigstore.json": site.issue().signer.sign(statement()),
            "stamped.sigstore.json": site.issue("stamped").stamped(StandingClock(clock)).sign(statement()),
            "stamped-key.sigstore.json": KeySigner(private, StandingClock(clock)).sign(statement()),
            "timestamp-ca.pem": root_pem(clock).encode(),
            "model.sig": oms.sign(scratch / "model", one),
        }.items():
            write_atomic(GOLDENS / path, content)


if __name__ == "__main__":
    main()
