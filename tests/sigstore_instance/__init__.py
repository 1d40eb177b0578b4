"""A throwaway Sigstore on loopback: Fulcio, a certificate log, Rekor 1 and 2, a timestamp authority, an OIDC issuer.

It issues a certificate for any identity to whoever can read its folder. So what it signs proves nothing outside the
machine it runs on; it is there to sign and verify with the real clients where there is no internet and no person.

    with SigstoreInstance.start(folder) as instance:
        token = instance.token("maintainer@example.org")

    python -m tests.sigstore_instance --folder DIR
    python -m tests.sigstore_instance token --folder DIR --identity maintainer@example.org
"""

from tests.sigstore_instance.instance import SigstoreInstance
from tests.sigstore_instance.oidc import ISSUER

__all__ = ["ISSUER", "SigstoreInstance"]
