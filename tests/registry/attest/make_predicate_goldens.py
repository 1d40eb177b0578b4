"""Sign an example of each predicate that has none: python -m tests.registry.attest.make_predicate_goldens predicates-v3

Only for new predicates or new versions of old ones. A set that stands is never changed: what was once signed must
verify, and be understood, for ever.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from registry.attest.localkey import KeySigner
from registry.attest.predicates import Predicate
from registry.attest.sigstore.sign import SigstoreSigner
from registry.files import write_atomic
from tests.registry.attest.conftest import MAINTAINER, write_key
from tests.registry.attest.test_predicates import EXAMPLES, SUBJECTS
from tests.sigstore_instance import SigstoreInstance

GOLDENS = Path(__file__).parent / "goldens"


def name(predicate: Predicate) -> str:
    """What the files of a predicate are called: `release-v1` for `https://glasshouse.dev/attestation/release/v1`."""
    return "-".join(predicate.TYPE.rsplit("/", 2)[1:])


def signed() -> set[str]:
    """Names of the predicates that have a golden."""
    return {path.name.removesuffix(".statement.json") for path in GOLDENS.glob("predicates-*/*.statement.json")}


def main() -> int:
    """Sign by an identity and by a key; keep what verifying needs, and neither private key nor log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="a new one below goldens/, such as predicates-v2")
    folder = GOLDENS / parser.parse_args().folder
    if folder.exists():
        parser.error(f"{folder} is there already, and goldens do not change")
    with tempfile.TemporaryDirectory() as scratch, SigstoreInstance.start(Path(scratch) / "sigstore") as instance:
        key = KeySigner(write_key(Path(scratch) / "private.pem"))
        person = SigstoreSigner(instance.trust_config_rekor2_path, identity_token=instance.token(MAINTAINER))
        write_atomic(folder / "trusted-root.json", instance.trusted_root_path.read_bytes())
        write_atomic(folder / "public.pem", key.public_key.pem.encode())
        for example in (example for example in EXAMPLES if name(example) not in signed()):
            statement = example.about(SUBJECTS)
            write_atomic(folder / f"{name(example)}.statement.json", statement.to_bytes())
            for by, signer in (("key", key), ("identity", person)):
                write_atomic(folder / f"{name(example)}.{by}.sigstore.json", signer.sign(statement))
    return 0


if __name__ == "__main__":
    sys.exit(main())
